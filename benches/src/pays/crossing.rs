//! Where a curve reaches a level for good: the break-even.

use std::fmt::{self, Display};

use super::units::time;

/// From which length on, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Crossing {
    /// Already at the shortest length that was measured.
    Below(f64),
    At(f64),
    /// Not even at the longest one.
    Above(f64),
}

/// Where the curve through these points, whose lengths grow, reaches `level` and does not fall below it any more. Between two
/// points, a straight line on a logarithmic axis. None without points.
pub(super) fn crossing(points: &[(f64, f64)], level: f64) -> Option<Crossing> {
    let (first, last) = (points.first()?, points.last()?);
    let Some(below) = points.iter().rposition(|(_, value)| *value < level) else {
        return Some(Crossing::Below(first.0));
    };
    let Some(above) = points.get(below + 1) else { return Some(Crossing::Above(last.0)) };
    let below = points[below];
    let part = (level - below.1) / (above.1 - below.1);
    Some(Crossing::At(below.0 * (above.0 / below.0).powf(part)))
}

impl Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(length) => write!(f, "below {}", time(*length)),
            Self::At(length) => f.write_str(&time(*length)),
            Self::Above(length) => write!(f, "above {}", time(*length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rise_counts() {
        let points = [(1.0, 0.5), (10.0, 1.5), (100.0, 0.5), (10_000.0, 1.5)];
        assert_eq!(crossing(&points, 1.0), Some(Crossing::At(1_000.0)));
        assert_eq!(crossing(&points, 0.4), Some(Crossing::Below(1.0)));
        assert_eq!(crossing(&points, 1.6), Some(Crossing::Above(10_000.0)));
        assert_eq!(crossing(&points, 1.5), Some(Crossing::At(10_000.0)));
        assert_eq!(crossing(&[], 1.0), None);
    }

    #[test]
    fn crossings_are_told() {
        assert_eq!(Crossing::Below(1.0).to_string(), "below 1 us");
        assert_eq!(Crossing::At(1_234.0).to_string(), "1.2 ms");
        assert_eq!(Crossing::Above(1e5).to_string(), "above 100 ms");
    }
}
