//! The axis: from times to places, and where its marks are.

use std::time::Duration;

/// Maps the time from 0 to `end` onto the places from `left` to `left + width`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    end: f64,
    left: f64,
    width: f64,
}

/// There are at most so many marks, that of 0 included.
const MOST_MARKS: f64 = 11.0;

impl Scale {
    pub(super) fn new(end: Duration, left: f64, width: f64) -> Self {
        // A run that took no time has a picture as well.
        Self { end: end.as_secs_f64().max(1e-9), left, width }
    }

    pub(super) fn place(self, time: Duration) -> f64 {
        self.left + self.width * (time.as_secs_f64() / self.end).min(1.0)
    }

    /// The places of marks at round times, with their names.
    pub(super) fn marks(self) -> Vec<(f64, String)> {
        let step = round_up(self.end / (MOST_MARKS - 1.0));
        let (unit, factor) = match self.end {
            ..1e-6 => ("ns", 1e9),
            ..1e-3 => ("us", 1e6),
            ..1.0 => ("ms", 1e3),
            _ => ("s", 1.0),
        };
        let decimals = (-(step * factor).log10().floor()).max(0.0) as usize;
        let times = (0..).map(|number| f64::from(number) * step).take_while(|time| *time <= self.end * 1.000_001);
        times
            .map(|time| (self.left + self.width * time / self.end, format!("{:.decimals$} {unit}", time * factor)))
            .collect()
    }
}

/// The next number that is 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let round = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= value * 0.999_999);
    round.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        for (micros, first, last) in [
            (1_000, "0.0 ms", "1.0 ms"),
            (1_400, "0.0 ms", "1.4 ms"),
            (999, "0 us", "900 us"),
            (69_000, "0 ms", "60 ms"),
            (12_300_000, "0 s", "12 s"),
            (0, "0.0 ns", "1.0 ns"),
        ] {
            let marks = Scale::new(Duration::from_micros(micros), 100.0, 800.0).marks();
            assert!((3..=11).contains(&marks.len()), "{micros}: {marks:?}");
            assert_eq!((marks[0].1.as_str(), marks.last().unwrap().1.as_str()), (first, last), "{marks:?}");
            assert!((marks[0].0 - 100.0).abs() < 1e-9 && marks.iter().all(|(place, _)| *place <= 900.1), "{marks:?}");
        }
    }

    #[test]
    fn times_have_their_places() {
        let scale = Scale::new(Duration::from_millis(10), 100.0, 800.0);
        for (millis, place) in [(0, 100.0), (5, 500.0), (10, 900.0), (20, 900.0)] {
            assert!((scale.place(Duration::from_millis(millis)) - place).abs() < 1e-9, "{millis}");
        }
    }
}
