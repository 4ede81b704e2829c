//! How many workers a run has.

use std::fmt;
use std::num::NonZeroUsize;

/// Says how many workers are wanted, before the number of processors is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    Count(NonZeroUsize),
    Percent(usize),
    AllBut(usize),
}

/// A pool's own limit, and a share that no machine's processors take beyond it.
const MOST: usize = 1 << 20;
const MOST_PERCENT: usize = 10_000;

impl Workers {
    /// Reads `4`, `50%` or `-1`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is neither a number (4), a share of the processors (50%) nor all but some (-1)");
        let number = |digits: &str| digits.parse::<usize>().map_err(|_| wrong());
        let many = || format!("{text:?} is too many: from 1 to {MOST} workers, or from 1% to {MOST_PERCENT}%");
        match (text.strip_suffix('%'), text.strip_prefix('-')) {
            (Some(_), Some(_)) => Err(wrong()),
            (Some(percent), None) => match number(percent)? {
                0 => Err(zero(text)),
                percent @ 1..=MOST_PERCENT => Ok(Self::Percent(percent)),
                _ => Err(many()),
            },
            (None, Some(spared)) => number(spared).map(Self::AllBut),
            (None, None) => match NonZeroUsize::new(number(text)?) {
                None => Err(zero(text)),
                Some(count) if count.get() <= MOST => Ok(Self::Count(count)),
                Some(_) => Err(many()),
            },
        }
    }

    /// Returns the number of workers on a machine with so many processors; at least one, a share rounded down.
    pub(crate) fn resolve(self, processors: usize) -> usize {
        match self {
            Self::Count(count) => count.get(),
            Self::Percent(percent) => (processors.saturating_mul(percent) / 100).max(1),
            Self::AllBut(spared) => processors.saturating_sub(spared).max(1),
        }
    }
}

fn zero(text: &str) -> String {
    format!("{text:?} is no worker: at least 1 does the work; --serial runs without, -j 100% uses all processors")
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::AllBut(spared) => write!(f, "-{spared}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_shares_and_rests() {
        for (text, processors, workers) in [
            ("4", 2, 4),
            ("100%", 8, 8),
            ("50%", 3, 1),
            ("1%", 2, 1),
            ("200%", 2, 4),
            ("-1", 8, 7),
            ("-0", 8, 8),
            ("-9", 8, 1),
        ] {
            let parsed = Workers::parse(text).unwrap();
            assert_eq!(parsed.resolve(processors), workers, "{text} of {processors}");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "1.5", "-", "%", "-5%", "--1", "99999999999999999999"] {
            assert!(Workers::parse(text).unwrap_err().contains("is neither a number"), "{text}");
        }
        for text in ["1048577", "10001%", "1000000000000"] {
            let problem = Workers::parse(text).unwrap_err();
            assert_eq!(problem, format!("{text:?} is too many: from 1 to 1048576 workers, or from 1% to 10000%"));
        }
        for text in ["0", "0%"] {
            let problem = Workers::parse(text).unwrap_err();
            assert!(problem.contains("--serial") && problem.contains("-j 100%"), "{problem}");
        }
    }
}
