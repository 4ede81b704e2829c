//! Types of which any bytes are a value: what memory of others may be read as.

/// A type without padding, of which any bytes are a value.
///
/// # Safety
/// That must be true, and it must not hold anything that only one process can use.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($type:ty)+) => {
        $(
            // SAFETY: any bytes are a number, and a number has no padding.
            unsafe impl Plain for $type {}
        )+
    };
}

plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);

// SAFETY: an array has the bytes of its elements, and no others.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// The bytes of `values`.
#[must_use]
pub fn bytes<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: the type has no padding, so all of these bytes are initialized, and they stay borrowed.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The bytes of `values`, to be changed.
#[must_use]
pub fn bytes_mut<T: Plain>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `bytes`; and whatever is written, it is a value.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// A value whose bytes are all zero.
#[must_use]
pub fn zero<T: Plain>() -> T {
    // SAFETY: any bytes are a value.
    unsafe { std::mem::zeroed() }
}
