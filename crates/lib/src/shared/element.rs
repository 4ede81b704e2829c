//! What can be in shared memory: types of which any bytes are a value, since another process may have written them.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitXor};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use sealed::{Bits, Cells, Numeric};

use super::dtype::{DType, Kind};

/// What a [`Value`](crate::Value) or an [`Array`](crate::Array) holds: integers of up to 64 bits, `f32`, `f64` and `bool`.
/// Each is read and written in one piece.
pub trait Element: Cells {}

/// An [`Element`] that can be added to and compared.
pub trait Number: Element + Numeric {}

/// A [`Number`] without a fraction, which has bits.
pub trait Integer: Number + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> {}

/// What a [`SharedArray`](crate::SharedArray) holds: integers, `f32`, `f64`, and arrays of these, such as `[f64; 2]` for a
/// complex number. (Not `bool`: a byte that another process has written may be 2.)
pub trait Plain: Bits + fmt::Debug + PartialEq {}

/// Nobody else implements these traits.
pub(super) mod sealed {
    use std::fmt;
    use std::sync::atomic::Ordering;

    use super::super::dtype::DType;

    /// How an element is stored.
    pub trait Cells: Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
        type Cell: ganger_os::memory::Cell + Default;
        const DTYPE: DType;
        fn load(cell: &Self::Cell, order: Ordering) -> Self;
        fn store(self, cell: &Self::Cell, order: Ordering);
        fn swap(self, cell: &Self::Cell) -> Self;
        /// Compares bits.
        fn exchange(cell: &Self::Cell, current: Self, new: Self) -> Result<Self, Self>;
    }

    pub trait Numeric: PartialOrd + Cells {
        /// Returns what was there. Integers wrap around.
        fn add(cell: &Self::Cell, by: Self) -> Self;
        #[must_use]
        fn negated(self) -> Self;
    }

    pub trait Bits: ganger_os::plain::Plain {
        const DTYPE: DType;
        /// Turns the order of the bytes around.
        #[must_use]
        fn swapped(self) -> Self;
    }
}

/// Implements [`Cells`] for a type whose bits are those of an unsigned number.
macro_rules! element {
    ($type:ty: $kind:ident in $cell:ty, |$value:ident| $to_bits:expr, |$bits:ident| $from_bits:expr) => {
        impl Cells for $type {
            type Cell = $cell;
            const DTYPE: DType = DType::new(Kind::$kind, size_of::<Self>());

            #[inline]
            fn load(cell: &Self::Cell, order: Ordering) -> Self {
                let $bits = cell.load(order);
                $from_bits
            }

            #[inline]
            fn store(self, cell: &Self::Cell, order: Ordering) {
                let $value = self;
                cell.store($to_bits, order);
            }

            #[inline]
            fn swap(self, cell: &Self::Cell) -> Self {
                let $value = self;
                let $bits = cell.swap($to_bits, Ordering::SeqCst);
                $from_bits
            }

            #[inline]
            fn exchange(cell: &Self::Cell, current: Self, new: Self) -> Result<Self, Self> {
                let bits = |$value: Self| $to_bits;
                let value = |$bits| $from_bits;
                let done = cell.compare_exchange(bits(current), bits(new), Ordering::SeqCst, Ordering::SeqCst);
                done.map(value).map_err(value)
            }
        }

        impl Element for $type {}
    };
}

macro_rules! integer {
    ($($type:ident as $unsigned:ident in $cell:ident: $kind:ident),+) => {
        $(
            element!($type: $kind in $cell, |value| value as $unsigned, |bits| bits as $type);

            impl Numeric for $type {
                #[inline]
                fn add(cell: &Self::Cell, by: Self) -> Self {
                    cell.fetch_add(by as $unsigned, Ordering::SeqCst) as $type
                }

                #[inline]
                fn negated(self) -> Self {
                    self.wrapping_neg()
                }
            }

            impl Number for $type {}
            impl Integer for $type {}
        )+
    };
}

macro_rules! float {
    ($($type:ident in $cell:ident),+) => {
        $(
            element!($type: Float in $cell, |value| value.to_bits(), |bits| $type::from_bits(bits));

            impl Numeric for $type {
                #[inline]
                fn add(cell: &Self::Cell, by: Self) -> Self {
                    let mut known = Self::load(cell, Ordering::Relaxed);
                    loop {
                        match Self::exchange(cell, known, known + by) {
                            Ok(before) => return before,
                            Err(other) => known = other,
                        }
                    }
                }

                #[inline]
                fn negated(self) -> Self {
                    -self
                }
            }

            impl Number for $type {}
        )+
    };
}

macro_rules! plain {
    ($($type:ident: $kind:ident),+) => {
        $(
            impl Bits for $type {
                const DTYPE: DType = DType::new(Kind::$kind, size_of::<Self>());

                fn swapped(self) -> Self {
                    let mut bytes = self.to_ne_bytes();
                    bytes.reverse();
                    Self::from_ne_bytes(bytes)
                }
            }

            impl Plain for $type {}
        )+
    };
}

integer!(
    u8 as u8 in AtomicU8: Unsigned,
    u16 as u16 in AtomicU16: Unsigned,
    u32 as u32 in AtomicU32: Unsigned,
    u64 as u64 in AtomicU64: Unsigned,
    i8 as u8 in AtomicU8: Signed,
    i16 as u16 in AtomicU16: Signed,
    i32 as u32 in AtomicU32: Signed,
    i64 as u64 in AtomicU64: Signed
);
#[cfg(target_pointer_width = "64")]
integer!(usize as u64 in AtomicU64: Unsigned, isize as u64 in AtomicU64: Signed);
float!(f32 in AtomicU32, f64 in AtomicU64);
// Another process may have written any byte: all but 0 are true.
element!(bool: Bool in AtomicU8, |value| u8::from(value), |bits| bits != 0);

plain!(
    u8: Unsigned, u16: Unsigned, u32: Unsigned, u64: Unsigned, u128: Unsigned, usize: Unsigned, i8: Signed, i16: Signed,
    i32: Signed, i64: Signed, i128: Signed, isize: Signed, f32: Float, f64: Float
);

impl<T: Plain, const N: usize> Bits for [T; N] {
    const DTYPE: DType = T::DTYPE.times(N);

    fn swapped(self) -> Self {
        self.map(T::swapped)
    }
}

impl<T: Plain, const N: usize> Plain for [T; N] {}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives<T: Element>(one: T, other: T) {
        let cell: T::Cell = Default::default();
        one.store(&cell, Ordering::Relaxed);
        assert_eq!(T::load(&cell, Ordering::Relaxed), one);
        assert_eq!(T::exchange(&cell, other, other), Err(one));
        assert_eq!(T::exchange(&cell, one, other), Ok(one));
        assert_eq!(one.swap(&cell), other);
    }

    #[test]
    fn elements_survive() {
        survives(1_u8, 255);
        survives(-1_i8, 127);
        survives(-1_i16, 300);
        survives(i32::MIN, 7);
        survives(i64::MIN, i64::MAX);
        survives(usize::MAX, 0);
        survives(-1.5_f32, f32::INFINITY);
        survives(f64::MIN_POSITIVE, -0.1);
        survives(true, false);
    }

    #[test]
    fn numbers_are_added() {
        let cell = AtomicU8::new(250);
        assert_eq!((u8::add(&cell, 10), u8::load(&cell, Ordering::Relaxed)), (250, 4));
        assert_eq!((i8::add(&cell, 5_i8.negated()), i8::load(&cell, Ordering::Relaxed)), (4, -1));
        let cell = AtomicU64::new(1.5_f64.to_bits());
        assert_eq!((f64::add(&cell, 2.0), f64::load(&cell, Ordering::Relaxed)), (1.5, 3.5));
    }

    #[test]
    fn any_byte_is_a_bool() {
        assert!(bool::load(&AtomicU8::new(2), Ordering::Relaxed));
    }

    #[test]
    fn bytes_are_turned_around() {
        assert_eq!(0x0102_u16.swapped(), 0x0201);
        assert_eq!([1_u32, 2].swapped(), [1 << 24, 2 << 24]);
        assert_eq!(f64::from_bits(1).swapped().to_bits(), 1 << 56);
        assert_eq!(<[[f32; 2]; 3]>::DTYPE.to_string(), "[f32; 6]");
    }
}
