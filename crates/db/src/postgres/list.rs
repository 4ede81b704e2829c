//! A table of PostgreSQL as a work list: who claims its rows, who extends their leases, and who settles them, each on a
//! connection of its own.

mod beater;
mod claimer;
mod connect;
mod schema;
mod settler;
mod statements;

pub(crate) use beater::Beater;
pub(crate) use claimer::{Claimer, Taken};
pub(crate) use settler::Settler;
pub(crate) use statements::Which;
