//! What kind of number an element is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds; the letters are NumPy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// `b`.
    Bool,
    /// `u`.
    Unsigned,
    /// `i`.
    Signed,
    /// `f`.
    Float,
}

/// A type of elements: `count` numbers of `size` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DType {
    pub(super) kind: Kind,
    pub(super) size: u8,
    pub(super) count: u32,
}

impl DType {
    pub(super) const fn new(kind: Kind, size: usize) -> Self {
        Self { kind, size: size as u8, count: 1 }
    }

    /// `count` of these.
    pub(super) const fn times(self, count: usize) -> Self {
        let count = self.count as usize * count;
        assert!(count <= u32::MAX as usize, "an element has fewer than 2^32 numbers");
        Self { count: count as u32, ..self }
    }

    /// As one word of a label.
    pub(super) fn to_word(self) -> u64 {
        let kind = match self.kind {
            Kind::Bool => b'b',
            Kind::Unsigned => b'u',
            Kind::Signed => b'i',
            Kind::Float => b'f',
        };
        u64::from(self.count) << 32 | u64::from(self.size) << 8 | u64::from(kind)
    }

    /// What [`to_word`](Self::to_word) made.
    pub(super) fn from_word(word: u64) -> Option<Self> {
        let kind = match word as u8 {
            b'b' => Kind::Bool,
            b'u' => Kind::Unsigned,
            b'i' => Kind::Signed,
            b'f' => Kind::Float,
            _ => return None,
        };
        Some(Self { kind, size: (word >> 8) as u8, count: (word >> 32) as u32 })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u32::from(self.size) * 8;
        let letter = match self.kind {
            Kind::Bool => return f.write_str("bool"),
            Kind::Unsigned => 'u',
            Kind::Signed => 'i',
            Kind::Float => 'f',
        };
        match self.count {
            1 => write!(f, "{letter}{bits}"),
            count => write!(f, "[{letter}{bits}; {count}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_names_are_fixed() {
        for (dtype, word, name) in [
            (DType::new(Kind::Float, 8), 0x1_0000_0866, "f64"),
            (DType::new(Kind::Unsigned, 1), 0x1_0000_0175, "u8"),
            (DType::new(Kind::Signed, 16), 0x1_0000_1069, "i128"),
            (DType::new(Kind::Bool, 1), 0x1_0000_0162, "bool"),
            (DType::new(Kind::Float, 4).times(2), 0x2_0000_0466, "[f32; 2]"),
        ] {
            assert_eq!((dtype.to_word(), dtype.to_string().as_str()), (word, name));
            assert_eq!(DType::from_word(word), Some(dtype));
        }
        assert_eq!(DType::from_word(0), None);
    }
}
