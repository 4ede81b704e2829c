//! Rows of digits that are the same in Rust and in Python, and the task that counts in them.

/// How many numbers a row has.
pub(crate) const WIDTH: usize = 5;
pub(crate) const SEED: u64 = 2026;
pub(crate) const LOW: i64 = 4;
pub(crate) const HIGH: i64 = 8;

/// Makes the same digits as `peer.py`: Knuth's MMIX generator, its upper bits modulo 10.
pub(crate) fn make_rows(count: usize) -> Vec<Vec<i64>> {
    let mut state = SEED;
    let mut digit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((state >> 33) % 10).expect("a digit")
    };
    (0..count).map(|_| (0..WIDTH).map(|_| digit()).collect()).collect()
}

/// Counts the numbers from `low` to `high`.
#[expect(clippy::needless_pass_by_value, reason = "arguments of a task are owned: they come out of a message")]
pub(crate) fn count_in_range(row: Vec<i64>, low: i64, high: i64) -> i64 {
    count_in(&row, low, high)
}

/// As [`count_in_range`], of a row that stays where it is.
pub(crate) fn count_in(row: &[i64], low: i64, high: i64) -> i64 {
    row.iter().fold(0, |count, number| count + i64::from((low..=high).contains(number)))
}

/// What is compared between Rust and Python: the sum, and one that changes with the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) sum: i64,
    pub(crate) weighted: i64,
}

impl Sums {
    pub(crate) fn of(values: &[i64]) -> Self {
        Self { sum: values.iter().sum(), weighted: (1..).zip(values).map(|(index, value)| index * value).sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_python() {
        // What `make_rows(2, 5, 2026)` of peer.py gives.
        assert_eq!(make_rows(2), [[7, 6, 3, 3, 8], [0, 7, 4, 2, 6]]);
    }

    #[test]
    fn counts_both_ends() {
        assert_eq!(count_in_range(vec![3, 4, 8, 9, 5], LOW, HIGH), 3);
        assert_eq!(Sums::of(&[2, 3]), Sums { sum: 5, weighted: 8 });
    }
}
