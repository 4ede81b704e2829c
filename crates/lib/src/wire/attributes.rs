//! What a worker process may use: decided when the pool is built, taken on by each worker before any of the user's code runs
//! in it.

use serde::{Deserialize, Serialize};

use crate::rlimit::Rlimit;

/// What all workers of a pool are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) rlimits: Vec<Limit>,
    pub(crate) niceness: Option<i32>,
    /// The processors to be shared out; none of them is any.
    pub(crate) cpus: Vec<usize>,
}

/// A resource limit with its bounds; `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) resource: Rlimit,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

impl Attributes {
    /// The processor of the worker in this place. It depends on nothing else, so a successor has its predecessor's.
    pub(crate) fn cpu_of(&self, slot: u32) -> Option<usize> {
        let place = (slot as usize).checked_rem(self.cpus.len())?;
        Some(self.cpus[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_dealt_round() {
        let attributes = Attributes { cpus: vec![0, 2, 3], ..Attributes::default() };
        let dealt: Vec<_> = (0..5).filter_map(|slot| attributes.cpu_of(slot)).collect();
        assert_eq!(dealt, [0, 2, 3, 0, 2]);
        assert_eq!(Attributes::default().cpu_of(7), None);
    }
}
