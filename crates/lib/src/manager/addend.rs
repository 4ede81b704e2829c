//! Numbers that a server adds without knowing the program: by a tag of their type.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::Fault;
use crate::error::ErrorKind;

/// A type of numbers that `add` can add in the server: all integers, `f32` and `f64`.
///
/// It is sealed: the server adds the bytes of these types itself, so that clients of any program may ask for it. Other
/// types are added by a function, with [`Dict::update`](super::Dict::update).
pub trait Addend: Copy + Serialize + DeserializeOwned + private::Tagged {}

pub(super) mod private {
    pub trait Tagged {
        const TAG: u8;
    }
}

macro_rules! numbers {
    ($($tag:literal $type:ty, $add:expr;)+) => {
        $(
            impl Addend for $type {}
            impl private::Tagged for $type {
                const TAG: u8 = $tag;
            }
        )+

        /// The sum of two numbers of the type with this tag, as bytes.
        pub(super) fn sum(tag: u8, one: &[u8], other: &[u8]) -> Result<Vec<u8>, Fault> {
            match tag {
                $($tag => add_as::<{ size_of::<$type>() }>(stringify!($type), one, other, |one, other| {
                    let add: fn($type, $type) -> Option<$type> = $add;
                    add(<$type>::from_le_bytes(one), <$type>::from_le_bytes(other)).map(<$type>::to_le_bytes)
                }),)+
                _ => Err(Fault::new(ErrorKind::Mismatch, format!("type {tag} of numbers is not known"))),
            }
        }
    };
}

numbers! {
    1 i8, i8::checked_add;
    2 i16, i16::checked_add;
    3 i32, i32::checked_add;
    4 i64, i64::checked_add;
    5 i128, i128::checked_add;
    6 u8, u8::checked_add;
    7 u16, u16::checked_add;
    8 u32, u32::checked_add;
    9 u64, u64::checked_add;
    10 u128, u128::checked_add;
    // They travel as numbers of 64 bits, which they are wherever ganger runs.
    11 isize, isize::checked_add;
    12 usize, usize::checked_add;
    13 f32, |one, other| Some(one + other);
    14 f64, |one, other| Some(one + other);
}

fn add_as<const WIDTH: usize>(
    name: &str,
    one: &[u8],
    other: &[u8],
    add: impl Fn([u8; WIDTH], [u8; WIDTH]) -> Option<[u8; WIDTH]>,
) -> Result<Vec<u8>, Fault> {
    let (Ok(one), Ok(other)) = (one.try_into(), other.try_into()) else {
        let text = format!("what is there ({} bytes) is no {name}", one.len());
        return Err(Fault::new(ErrorKind::Mismatch, text));
    };
    let sum = add(one, other);
    sum.map(Vec::from)
        .ok_or_else(|| Fault::new(ErrorKind::Remote, format!("the sum is outside of the range of {name}")))
}

#[cfg(test)]
mod tests {
    use super::private::Tagged;
    use super::*;
    use crate::wire::codec::{decode, encode};

    fn add<N: Addend>(one: N, other: N) -> Result<N, ErrorKind> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        encode(&one, &mut first).expect("plain");
        encode(&other, &mut second).expect("plain");
        sum(<N as Tagged>::TAG, &first, &second)
            .map(|sum| decode(&sum).expect("the same type"))
            .map_err(|fault| fault.kind)
    }

    #[test]
    fn numbers_of_every_type_are_added_as_they_travel() {
        assert_eq!(add(100_i8, 27), Ok(127));
        assert_eq!(add(-3_i16, 1), Ok(-2));
        assert_eq!(add(1_i32 << 30, 5), Ok((1 << 30) + 5));
        assert_eq!(add(i64::MIN, i64::MAX), Ok(-1));
        assert_eq!(add(1_i128 << 100, 1), Ok((1 << 100) + 1));
        assert_eq!(add(200_u8, 55), Ok(255));
        assert_eq!(add(1_u16, 2), Ok(3));
        assert_eq!(add(1_u32, 2), Ok(3));
        assert_eq!(add(u64::MAX - 1, 1), Ok(u64::MAX));
        assert_eq!(add(u128::MAX - 1, 1), Ok(u128::MAX));
        assert_eq!(add(-1_isize, 1), Ok(0));
        assert_eq!(add(1_usize << 40, 1), Ok((1 << 40) + 1));
        assert_eq!(add(0.5_f32, 0.25), Ok(0.75));
        assert_eq!(add(1e300_f64, 1e300), Ok(2e300));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(add(100_i8, 28), Err(ErrorKind::Remote));
        assert_eq!(add(u64::MAX, 1), Err(ErrorKind::Remote));
        for (tag, one, other) in [(4, &[1; 8][..], &[1; 4][..]), (4, &[1; 9], &[1; 8]), (0, &[], &[]), (15, &[1], &[1])]
        {
            assert_eq!(sum(tag, one, other).expect_err("refused").kind, ErrorKind::Mismatch, "{tag} {one:?} {other:?}");
        }
    }
}
