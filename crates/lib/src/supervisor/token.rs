//! What a readable descriptor is: the number that the poller returns for it.

use super::event::WorkerId;

/// The meaning of a poller's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Wake,
    Guardian,
    GuardianDeath,
    Link(WorkerId),
    Death(WorkerId),
    /// Its standard output.
    Output(WorkerId),
    /// Its standard error.
    Errors(WorkerId),
}

/// Slots are numbered below this.
const SPECIAL: u64 = (1 << 30) - 1;

impl Token {
    pub(super) fn to_u64(self) -> u64 {
        let worker = |id: WorkerId, what: u64| (u64::from(id.generation) << 32) | (u64::from(id.slot) << 2) | what;
        match self {
            Self::Wake => SPECIAL << 2,
            Self::Guardian => (1 << 32) | (SPECIAL << 2),
            Self::GuardianDeath => (2 << 32) | (SPECIAL << 2),
            Self::Link(id) => worker(id, 0),
            Self::Death(id) => worker(id, 1),
            Self::Output(id) => worker(id, 2),
            Self::Errors(id) => worker(id, 3),
        }
    }

    pub(super) fn from_u64(number: u64) -> Self {
        let (high, slot, what) = ((number >> 32) as u32, (number & 0xffff_ffff) >> 2, number & 3);
        let id = WorkerId { slot: slot as u32, generation: high };
        match (slot, high, what) {
            (SPECIAL, 0, _) => Self::Wake,
            (SPECIAL, 1, _) => Self::Guardian,
            (SPECIAL, _, _) => Self::GuardianDeath,
            (_, _, 0) => Self::Link(id),
            (_, _, 1) => Self::Death(id),
            (_, _, 2) => Self::Output(id),
            _ => Self::Errors(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_journey() {
        let ids = [(0, 1), (1, 1), (70_000, u32::MAX)].map(|(slot, generation)| WorkerId { slot, generation });
        let workers =
            ids.into_iter().flat_map(|id| [Token::Link(id), Token::Death(id), Token::Output(id), Token::Errors(id)]);
        for token in workers.chain([Token::Wake, Token::Guardian, Token::GuardianDeath]) {
            assert_eq!(Token::from_u64(token.to_u64()), token);
        }
    }
}
