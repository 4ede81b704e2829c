//! Times and sizes as people write them.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Says whether a time of zero makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    Allowed,
    Refused,
}

/// Longer times are typing errors, and shorter ones than a clock can tell of no use.
const LONGEST: Duration = Duration::from_secs(1000 * 24 * 3600);
const SHORTEST: Duration = Duration::from_millis(1);

/// The units of time in nanoseconds; the empty one is that of bare numbers.
const TIMES: [(&str, u128); 5] =
    [("", 1_000_000_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

/// Reads `250ms`, `10s`, `1.5m`, `2h`, or a bare number of seconds.
pub(super) fn parse_duration(text: &str, zero: Zero) -> Result<Duration, String> {
    let shape = || format!("{text:?} is not a time such as 250ms, 10s, 1.5m or 2h");
    let range = || {
        let or_zero = if zero == Zero::Allowed { "0, or " } else { "" };
        format!("{text:?} is out of range: a time is {or_zero}from 1ms to 24000h")
    };
    let nanos = match scaled(text, &TIMES) {
        Ok(nanos) => nanos,
        Err(Flaw::Shape) => return Err(shape()),
        Err(Flaw::Range) => return Err(range()),
    };
    let time = u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| range())?;
    let sensible = (SHORTEST..=LONGEST).contains(&time) || (time.is_zero() && zero == Zero::Allowed);
    if sensible { Ok(time) } else { Err(range()) }
}

/// Reads two times, `100ms..10s`, the first of which is not the longer one.
pub(super) fn parse_times(text: &str) -> Result<RangeInclusive<Duration>, String> {
    let shape = || format!("{text:?} is not two times such as 100ms..10s");
    let (first, last) = text.split_once("..").ok_or_else(shape)?;
    let (first_time, last_time) = (parse_duration(first, Zero::Allowed)?, parse_duration(last, Zero::Allowed)?);
    if first_time > last_time {
        return Err(format!("{text:?} is out of order: {first} is longer than {last}"));
    }
    Ok(first_time..=last_time)
}

/// The units of sizes in bytes; the empty one is that of bare numbers.
const SIZES: [(&str, u128); 15] = [
    ("", 1),
    ("B", 1),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("k", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A process needs about so much to run at all, and no machine has more than that.
const SMALLEST: u64 = 1 << 20;
const LARGEST: u64 = 1 << 50;

/// Reads a size of any number of bytes.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    scaled(text, &SIZES).ok().and_then(|bytes| u64::try_from(bytes).ok())
}

/// Reads `512M` (decimal), `1GiB` (binary), or a bare number of bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let range = || format!("{text:?} is out of range: a size is from 1MiB to 1024TiB, and a bare number is bytes");
    let bytes = match scaled(text, &SIZES) {
        Ok(bytes) => u64::try_from(bytes).map_err(|_| range())?,
        Err(Flaw::Shape) => return Err(format!("{text:?} is not a size such as 512M, 1.5GiB or 64KiB")),
        Err(Flaw::Range) => return Err(range()),
    };
    if (SMALLEST..=LARGEST).contains(&bytes) { Ok(bytes) } else { Err(range()) }
}

/// Is what can be wrong with a number and its unit.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    Shape,
    /// It is a number, but below zero or beyond everything.
    Range,
}

/// Multiplies a decimal number with its unit, exactly; fractions of the smallest unit are cut off.
fn scaled(text: &str, units: &[(&str, u128)]) -> Result<u128, Flaw> {
    let positive = text.strip_prefix('-').unwrap_or(text);
    let end = positive.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(positive.len());
    let (number, unit) = positive.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or(Flaw::Shape)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(Flaw::Shape);
    }
    // More digits than that are below every unit's smallest part.
    let fraction = &fraction[..fraction.len().min(15)];
    let parse = |digits: &str| digits.parse::<u128>().map_err(|_| Flaw::Range);
    let parts = parse(fraction)?.checked_mul(*factor).ok_or(Flaw::Range)? / 10_u128.pow(fraction.len() as u32);
    let value = parse(whole)?.checked_mul(*factor).and_then(|value| value.checked_add(parts)).ok_or(Flaw::Range)?;
    if text.starts_with('-') { Err(Flaw::Range) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("10", 10_000),
            ("1.5m", 90_000),
            ("2h", 7_200_000),
            ("0.001", 1),
            ("0.25s", 250),
            ("24000h", 86_400_000_000),
            ("1.0000000000000000000000000000000000000001s", 1_000),
        ] {
            assert_eq!(parse_duration(text, Zero::Refused), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["0", "0s", "0.0ms"] {
            assert_eq!(parse_duration(text, Zero::Allowed), Ok(Duration::ZERO), "{text}");
        }
    }

    #[test]
    fn wrong_times_are_named_with_what_would_be_right() {
        for text in ["", "s", "ten", "10x", "10 s", "1.s", ".5", "1..5s", "1.5.5", "+1", "1e3", "10S", "\u{664}s"] {
            let problem = parse_duration(text, Zero::Refused).unwrap_err();
            assert_eq!(problem, format!("{text:?} is not a time such as 250ms, 10s, 1.5m or 2h"));
        }
        for text in ["0", "-1s", "-0.5", "0.5ms", "24001h", "99999999999999999999s", &"9".repeat(60)] {
            let problem = parse_duration(text, Zero::Refused).unwrap_err();
            assert_eq!(problem, format!("{text:?} is out of range: a time is from 1ms to 24000h"));
            if text != "0" {
                assert!(parse_duration(text, Zero::Allowed).unwrap_err().contains("0, or from 1ms"), "{text}");
            }
        }
    }

    #[test]
    fn two_times_are_in_order() {
        let millis = Duration::from_millis;
        assert_eq!(parse_times("100ms..10s"), Ok(millis(100)..=millis(10_000)));
        assert_eq!(parse_times("0..0"), Ok(millis(0)..=millis(0)));
        for (text, problem) in [
            ("10s", "\"10s\" is not two times such as 100ms..10s"),
            ("1s..", "\"\" is not a time"),
            ("1s..x", "\"x\" is not a time"),
            ("1s...2s", "\".2s\" is not a time"),
            ("10s..100ms", "\"10s..100ms\" is out of order: 10s is longer than 100ms"),
            ("-1..1", "\"-1\" is out of range"),
        ] {
            let told = parse_times(text).unwrap_err();
            assert!(told.starts_with(problem), "{told}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("512M", 512_000_000),
            ("512MB", 512_000_000),
            ("1GiB", 1 << 30),
            ("1.5GiB", 3 << 29),
            ("2048KiB", 2 << 20),
            ("1048576", 1 << 20),
            ("1024TiB", 1 << 50),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "5 M", "5m", "5Mib", "5X", "five"] {
            assert!(parse_size(text).unwrap_err().contains("is not a size such as 512M"), "{text}");
        }
        for text in ["5", "0", "-1G", "1023KiB", "1025TiB", "99999999999999999999999T", &"9".repeat(60)] {
            let problem = parse_size(text).unwrap_err();
            assert!(problem.starts_with(&format!("{text:?} is out of range: a size is from 1MiB")), "{problem}");
        }
    }

    /// What is printed in any unit is read as what it was, for numbers spread over the whole range.
    #[test]
    fn numbers_survive_the_journey_in_every_unit() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let number = random >> (random % 64);
            for (unit, factor) in TIMES.iter().chain(&SIZES) {
                let units = [(*unit, *factor)];
                let value = u128::from(number) * factor;
                assert_eq!(scaled(&format!("{number}{unit}"), &units), Ok(value));
                assert_eq!(scaled(&format!("-{number}{unit}"), &units), Err(Flaw::Range));
                // Thousandths, written as a fraction.
                let text = format!("{}.{:03}{unit}", number / 1000, number % 1000);
                assert_eq!(
                    scaled(&text, &units),
                    Ok(u128::from(number / 1000) * factor + u128::from(number % 1000) * factor / 1000)
                );
            }
        }
    }
}
