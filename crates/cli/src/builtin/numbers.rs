//! Tasks that compute.

use super::number::Number;
use std::time::Duration;

/// Counts the values from min to max, both included. Missing values do not count.
#[ganger::task]
fn count_in_range(row: Vec<Option<f64>>, min: f64, max: f64) -> u64 {
    row.iter().flatten().filter(|value| (min..=max).contains(*value)).count() as u64
}

/// Multiplies a number by itself.
#[ganger::task]
fn square(x: i64) -> Result<i64, String> {
    x.checked_mul(x).ok_or_else(|| format!("the square of {x} is too large"))
}

/// Multiplies a number by itself twice.
#[ganger::task]
fn cube(x: i64) -> Result<i64, String> {
    x.checked_pow(3).ok_or_else(|| format!("the cube of {x} is too large"))
}

/// Multiplies a number by itself after so many milliseconds.
#[ganger::task]
fn sleep_square(x: i64, ms: u64) -> Result<i64, String> {
    std::thread::sleep(Duration::from_millis(ms));
    square(x)
}

/// Adds numbers up. Missing values do not count; the sum of whole numbers is exact and whole.
#[ganger::task]
fn sum(numbers: Vec<Option<Number>>) -> Result<Number, String> {
    numbers.into_iter().flatten().try_fold(Number::Whole(0), Number::add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_a_failure() {
        assert_eq!(square(-3), Ok(9));
        assert_eq!(cube(-3), Ok(-27));
        assert!(square(i64::MAX).unwrap_err().contains("too large"));
        assert!(cube(1 << 40).unwrap_err().contains("too large"));
    }

    #[test]
    fn bounds_are_included() {
        let row = || vec![Some(30.0), Some(60.0), None, Some(60.1), Some(f64::NAN)];
        assert_eq!(count_in_range(row(), 30.0, 60.0), 2);
        assert_eq!(count_in_range(row(), 60.0, 30.0), 0);
    }

    #[test]
    fn whole_sums_stay_whole() {
        assert_eq!(sum(vec![Some(Number::Whole(1 << 62)); 4]), Ok(Number::Whole(1 << 64)));
        assert_eq!(sum(vec![Some(Number::Whole(1)), None, Some(Number::Fraction(0.5))]), Ok(Number::Fraction(1.5)));
        assert!(sum(vec![Some(Number::Whole(i128::MAX)); 2]).is_err());
    }
}
