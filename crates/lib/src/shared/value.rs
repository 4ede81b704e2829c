//! One number that everybody reads and writes.

use std::fmt;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::array::Array;
use super::element::{Element, Integer, Number};
use crate::error::Error;

/// A number, or a `bool`, in memory that processes share: Python's `Value` and `RawValue`.
///
/// Python's `value += 1` reads and writes, and so loses counts unless it is done under `get_lock()`. Here there is no lock:
/// [`fetch_add`](Self::fetch_add) and its kin do it in one piece, and [`update`](Self::update) does any change. All of them are
/// sequentially consistent. A process that dies leaves the value as it was before or after, never in between, and never
/// locked.
///
/// Clones and handles that have travelled are the same value; see [`Array`]. Many values are best elements of one array
/// ([`Array::value`]), which has one descriptor.
///
/// ```
/// use ganger::Value;
///
/// fn add(number: u64, sum: Value<u64>) {
///     sum.fetch_add(number);
/// }
///
/// let sum = Value::new(0_u64)?;
/// let pool = ganger::Pool::new(2)?;
/// pool.starmap(add, (1..=100).map(|number| (number, sum.clone())))?;
/// assert_eq!(sum.get(), 5050);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Value<T: Element>(Array<T>);

impl<T: Element> Value<T> {
    /// Makes one.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System) when memory or descriptors are short.
    pub fn new(value: T) -> Result<Self, Error> {
        Ok(Self(Array::from_slice(&[value])?))
    }

    pub(super) fn of(element: Array<T>) -> Self {
        Self(element)
    }

    fn cell(&self) -> &T::Cell {
        self.0.first()
    }

    /// Reads it. Python's `value.value`.
    #[must_use]
    pub fn get(&self) -> T {
        T::load(self.cell(), Ordering::SeqCst)
    }

    /// Writes it. Python's `value.value = x`.
    pub fn set(&self, value: T) {
        value.store(self.cell(), Ordering::SeqCst);
    }

    /// Writes it, and returns what was there.
    pub fn swap(&self, value: T) -> T {
        value.swap(self.cell())
    }

    /// Writes `new` if `current` is there. Floating point numbers are compared by their bits: `NaN` can be replaced, and 0.0 is
    /// not -0.0.
    ///
    /// # Errors
    /// What is there instead of `current`.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        T::exchange(self.cell(), current, new)
    }

    /// Writes what `change` makes of what is there, and returns what was there. It is called again whenever somebody else was
    /// faster, so it should do nothing but calculate.
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> T {
        let mut known = self.get();
        loop {
            match self.compare_exchange(known, change(known)) {
                Ok(before) => return before,
                Err(other) => known = other,
            }
        }
    }
}

impl<T: Number> Value<T> {
    /// Adds `by`, and returns what was there. Integers wrap around.
    pub fn fetch_add(&self, by: T) -> T {
        T::add(self.cell(), by)
    }

    /// Subtracts `by`, and returns what was there. Integers wrap around.
    pub fn fetch_sub(&self, by: T) -> T {
        T::add(self.cell(), by.negated())
    }

    /// Writes `other` if it is more than what is there, and returns what was there. `NaN` is not more.
    pub fn fetch_max(&self, other: T) -> T {
        self.update(|value| if other > value { other } else { value })
    }

    /// Writes `other` if it is less than what is there, and returns what was there. `NaN` is not less.
    pub fn fetch_min(&self, other: T) -> T {
        self.update(|value| if other < value { other } else { value })
    }
}

impl<T: Integer> Value<T> {
    /// Keeps the bits that `mask` has too, and returns what was there.
    pub fn fetch_and(&self, mask: T) -> T {
        self.update(|value| value & mask)
    }

    /// Sets the bits that `mask` has, and returns what was there.
    pub fn fetch_or(&self, mask: T) -> T {
        self.update(|value| value | mask)
    }

    /// Turns the bits around that `mask` has, and returns what was there.
    pub fn fetch_xor(&self, mask: T) -> T {
        self.update(|value| value ^ mask)
    }
}

impl<T: Element> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_returns_what_was_there() {
        let value = Value::new(6_i32).expect("memory");
        type Step = fn(&Value<i32>) -> i32;
        let steps: &[(Step, i32)] = &[
            (|value| value.fetch_add(4), 10),
            (|value| value.fetch_sub(13), -3),
            (|value| value.fetch_max(5), 5),
            (|value| value.fetch_min(12), 5),
            (|value| value.fetch_or(2), 7),
            (|value| value.fetch_and(6), 6),
            (|value| value.fetch_xor(3), 5),
            (|value| value.swap(i32::MAX), i32::MAX),
            (|value| value.fetch_add(1), i32::MIN),
            (|value| value.update(|value| value / 2), i32::MIN / 2),
            (|value| value.compare_exchange(i32::MIN / 2, 1).expect("is there"), 1),
            (|value| value.compare_exchange(7, 8).expect_err("is not there"), 1),
        ];
        for (number, (step, after)) in steps.iter().enumerate() {
            let before = value.get();
            assert_eq!((step(&value), value.get()), (before, *after), "step {number}");
        }
    }

    #[test]
    fn floats_are_compared_by_bits_and_bools_are_values() {
        let value = Value::new(f64::NAN).expect("memory");
        assert!(value.fetch_max(1.0).is_nan() && value.get().is_nan());
        assert!(value.compare_exchange(f64::NAN, 0.5).is_ok());
        assert_eq!((value.fetch_sub(0.25), value.get()), (0.5, 0.25));
        let flag = Value::new(false).expect("memory");
        assert_eq!((flag.swap(true), flag.clone().get()), (false, true));
        assert_eq!(format!("{flag:?}"), "Value(true)");
    }

    #[test]
    fn threads_lose_no_count() {
        let value = Value::new(0_u16).expect("memory");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| assert!(value.update(|value| value + 1) < 4000)));
            }
        });
        assert_eq!(value.get(), 4000);
    }
}
