//! The generator behind [`task_rng`](crate::task_rng).

use std::ops::Range;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// A fast, repeatable generator of random numbers (xoshiro256++); not for secrets.
#[derive(Clone, Debug)]
pub struct TaskRng(Xoshiro256PlusPlus);

impl TaskRng {
    /// A generator whose numbers depend on all of `parts` and on nothing else.
    pub(crate) fn derived(parts: [u64; 4]) -> Self {
        let mut seed = [0; 32];
        let mut state = 0x5851_f42d_4c95_7f2d_u64;
        for (part, place) in parts.into_iter().zip(seed.chunks_exact_mut(8)) {
            state = mix(state.rotate_left(17) ^ mix(part));
            place.copy_from_slice(&state.to_le_bytes());
        }
        Self(Xoshiro256PlusPlus::from_seed(seed))
    }

    /// The next number, any of the 2^64.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, each equally likely.
    ///
    /// # Panics
    /// When `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "there is no number below 0");
        // Lemire's multiplication with rejection: without it, small numbers would come slightly more often.
        let rejected = end.wrapping_neg() % end;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(end);
            if product as u64 >= rejected {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number within `range`, each equally likely.
    ///
    /// # Panics
    /// When the range is empty.
    pub fn range(&mut self, range: Range<i64>) -> i64 {
        assert!(range.start < range.end, "the range {range:?} is empty");
        let width = range.end.wrapping_sub(range.start).cast_unsigned();
        range.start.wrapping_add(self.below(width).cast_signed())
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Fills `bytes` with random ones.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Brings `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

/// The finalizer of splitmix64: every bit of the input changes half of the output's.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_draw_different_numbers_and_repeat_them() {
        let mut seen = std::collections::HashSet::new();
        for index in 0..1000 {
            for stream in 0..3 {
                let mut rng = TaskRng::derived([0, 0, index, stream]);
                let first = rng.next_u64();
                assert_eq!(TaskRng::derived([0, 0, index, stream]).next_u64(), first);
                assert!(seen.insert(first));
            }
        }
    }

    #[test]
    fn ranges_are_covered_evenly() {
        let mut rng = TaskRng::derived([1, 2, 3, 4]);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[(rng.range(-3..3) + 3) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(rng.range(i64::MIN..i64::MIN + 1), i64::MIN);
    }
}
