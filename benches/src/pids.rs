//! The proof that tasks crossed a process border: how many ran in which process.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::Deserialize;

use crate::Result;

/// How many tasks ran in which process, and which process asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Pids {
    own: u32,
    pids: BTreeMap<u32, u64>,
}

impl Pids {
    /// Counts for the calling process.
    pub(crate) fn new() -> Self {
        Self { own: std::process::id(), pids: BTreeMap::new() }
    }

    pub(crate) fn count(&mut self, pid: u32) {
        *self.pids.entry(pid).or_default() += 1;
    }

    /// Makes sure that `expected` tasks were counted and none of them in the process that asked.
    pub(crate) fn check(&self, expected: u64) -> Result<()> {
        let counted: u64 = self.pids.values().sum();
        if counted != expected {
            return Err(format!("{counted} of {expected} tasks were counted").into());
        }
        match self.pids.get(&self.own) {
            None => Ok(()),
            Some(count) => Err(format!("{count} tasks ran in the process {} that asked for them", self.own).into()),
        }
    }
}

impl Display for Pids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self.pids.iter().map(|(pid, count)| format!("pid {pid}: {count}")).collect();
        write!(f, "{}; none in the asking process {}", counts.join(", "), self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_lost_and_homemade_tasks() {
        let pids = |own| Pids { own, pids: BTreeMap::from([(7, 2), (8, 1)]) };
        assert!(pids(1).check(3).is_ok());
        assert!(pids(1).check(4).is_err());
        assert!(pids(8).check(3).is_err());
    }
}
