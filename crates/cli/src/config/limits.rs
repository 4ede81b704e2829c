//! The limits of tasks and workers.

use super::options::{number, read};
use super::quantity::{Zero, parse_duration, parse_size, parse_times};
use super::settings::Settings;
use crate::exit::Abort;
use ganger::RetryOn;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Names the settings that are kept by ending workers, or are about them.
pub(super) const LIMITS_OF_WORKERS: [&str; 11] = [
    "timeout",
    "queue-timeout",
    "retries",
    "backoff",
    "retry-on",
    "memory",
    "memory-soft",
    "rlimit",
    "nice",
    "pin",
    "cgroup",
];

/// More attempts than that never end.
const MOST_RETRIES: u64 = 1_000_000;

/// Holds the limits; what is missing is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) queue_timeout: Option<Duration>,
    /// How long tasks have to end once they are told to.
    pub(crate) grace: Option<Duration>,
    pub(crate) retries: Option<Retries>,
    /// In bytes.
    pub(crate) memory: Option<u64>,
    pub(crate) memory_soft: Option<u64>,
}

/// Says when a task that failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retries {
    /// How often, beside the first attempt.
    pub(crate) count: u32,
    pub(crate) backoff: Option<RangeInclusive<Duration>>,
    pub(crate) on: Option<Vec<RetryOn>>,
}

impl Limits {
    /// Reads the settings.
    pub(super) fn parse(settings: &Settings) -> Result<Self, Abort> {
        let time = |name, zero| read(settings, name, |text| parse_duration(text, zero));
        let (memory, memory_soft) = (read(settings, "memory", parse_size)?, read(settings, "memory-soft", parse_size)?);
        if let (Some(hard), Some(soft)) = (memory, memory_soft)
            && soft > hard
        {
            let text = |name| settings.text(name).unwrap_or_default();
            let problem = format!("{} is more than --memory, {}", text("memory-soft"), text("memory"));
            return Err(settings.wrong("memory-soft", problem));
        }
        Ok(Self {
            timeout: time("timeout", Zero::Refused)?,
            queue_timeout: time("queue-timeout", Zero::Refused)?,
            grace: time("grace", Zero::Allowed)?,
            retries: retries(settings)?,
            memory,
            memory_soft,
        })
    }
}

fn retries(settings: &Settings) -> Result<Option<Retries>, Abort> {
    let backoff = read(settings, "backoff", parse_times)?;
    let on = read(settings, "retry-on", failures)?;
    match number(settings, "retries")? {
        // A variable may be set for other runs.
        None => match ["backoff", "retry-on"].into_iter().find(|name| settings.is_flag(name)) {
            Some(name) => Err(settings.wrong(name, "means nothing without --retries")),
            None => Ok(None),
        },
        Some(0) => Ok(None),
        Some(count @ 1..=MOST_RETRIES) => Ok(Some(Retries { count: count as u32, backoff, on })),
        Some(count) => Err(settings.wrong("retries", format!("{count} is too many: from 0 to {MOST_RETRIES}"))),
    }
}

fn failures(text: &str) -> Result<Vec<RetryOn>, String> {
    let failure = |word: &str| match word.trim() {
        "panic" => Ok(RetryOn::Panic),
        "crash" => Ok(RetryOn::Crash),
        "timeout" => Ok(RetryOn::Timeout),
        "error" => Ok(RetryOn::Error),
        word => Err(format!("{word:?} is none of panic, crash, timeout, error")),
    };
    text.split(',').map(failure).collect()
}
