//! What a run is told to do: settings with their origin, then typed options.

mod attributes;
mod database;
mod environment;
mod limits;
mod options;
mod quantity;
mod settings;
mod show;
mod workers;

pub(crate) use attributes::checked_pin;
pub(crate) use database::{Database, RowsOf, WorkList};
pub(crate) use environment::warn_about_unknown;
pub(crate) use limits::{Limits, Retries};
#[cfg(feature = "tutorial")]
pub(crate) use options::GangOptions;
pub(crate) use options::{
    FormatChoice, InputOptions, Keep, MapOptions, OnError, OutputFormat, OutputOptions, ProgressChoice, RunOptions,
    ShortRows, StartMethod,
};
pub(crate) use settings::Settings;
pub(crate) use show::show;
