//! A number that stays whole as long as it can.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Holds a whole number exactly, or any other as a float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Fraction(f64),
}

impl Number {
    /// Adds; whole numbers give a whole number.
    pub(super) fn add(self, other: Self) -> Result<Self, String> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => {
                a.checked_add(b).map(Self::Whole).ok_or_else(|| "the sum is too large".to_owned())
            }
            (a, b) => Ok(Self::Fraction(a.float() + b.float())),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        text.parse().map(Self::Whole).or_else(|_| text.parse().map(Self::Fraction)).ok()
    }
}

/// Travels between processes.
#[derive(Serialize, Deserialize)]
enum Wire {
    Whole(i128),
    Fraction(f64),
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (serializer.is_human_readable(), *self) {
            (true, Self::Whole(number)) => serializer.serialize_i128(number),
            (true, Self::Fraction(number)) => serializer.serialize_f64(number),
            (false, Self::Whole(number)) => Wire::Whole(number).serialize(serializer),
            (false, Self::Fraction(number)) => Wire::Fraction(number).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(NumberVisitor);
        }
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Whole(number) => Self::Whole(number),
            Wire::Fraction(number) => Self::Fraction(number),
        })
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number::Whole(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number::Fraction(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        Number::parse(text).ok_or_else(|| E::custom(format_args!("{text:?} is not a number")))
    }
}
