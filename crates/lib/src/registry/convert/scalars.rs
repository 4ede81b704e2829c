//! Converts the text of single values.

use super::super::error::Mismatch;
use std::any::type_name;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

/// Reads a whole number; blanks around it are ignored.
pub(super) fn integer<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, Mismatch> {
    text.trim_ascii().parse().map_err(|error: ParseIntError| {
        let name = type_name::<T>();
        match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                Mismatch::of(text, format_args!("is out of range ({name})"))
            }
            _ => Mismatch::of(text, format_args!("is not a whole number ({name})")),
        }
    })
}

/// Names what the two float types share.
pub(super) trait Float: FromStr + Copy {
    fn overflowed(self) -> bool;
}

impl Float for f32 {
    fn overflowed(self) -> bool {
        self.is_infinite()
    }
}

impl Float for f64 {
    fn overflowed(self) -> bool {
        self.is_infinite()
    }
}

/// Reads a number; blanks around it are ignored. A number too large is an error, not infinity, unless it says `inf`.
pub(super) fn float<T: Float>(text: &str) -> Result<T, Mismatch> {
    let name = type_name::<T>();
    let number: T =
        text.trim_ascii().parse().map_err(|_| Mismatch::of(text, format_args!("is not a number ({name})")))?;
    if number.overflowed() && text.contains(|c: char| c.is_ascii_digit()) {
        return Err(Mismatch::of(text, format_args!("is out of range ({name})")));
    }
    Ok(number)
}

/// Reads a truth value; blanks around it are ignored.
pub(super) fn boolean(text: &str) -> Result<bool, Mismatch> {
    let is = |word: &str| text.trim_ascii().eq_ignore_ascii_case(word);
    match () {
        () if is("true") || is("1") => Ok(true),
        () if is("false") || is("0") => Ok(false),
        () => Err(Mismatch::of(text, format_args!("is not true or false (bool)"))),
    }
}

/// Reads exactly one character.
pub(super) fn single_char(text: &str) -> Result<char, Mismatch> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Mismatch::of(text, format_args!("is not one character (char)"))),
    }
}
