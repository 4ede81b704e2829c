//! Converts a field to the type that serde asks for.
//!
//! The rules are the table at [`Field`].

mod containers;
mod scalars;
#[cfg(test)]
mod tests;

use super::error::Mismatch;
use super::field::Field;
use containers::{Elements, Entries};
use scalars::{boolean, float, integer, single_char};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde_json::value::RawValue;

impl Field<'_> {
    /// Splits a JSON array, or a text that is one, into its elements.
    pub(super) fn elements(&self) -> Option<Field<'_>> {
        let text = match self {
            Field::Text(text) => text,
            Field::Json(json) => &json.0,
            Field::Missing | Field::List(_) | Field::Record(_) => return None,
        };
        let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        Some(Field::List(elements.into_iter().map(|element| Field::json(element.get())).collect()))
    }
}

/// Is one value, after the wrappings around it are taken off.
enum Scalar<'de> {
    Text(&'de str),
    Json(&'de str),
}

fn scalar<'de>(field: &'de Field<'_>, expected: &str) -> Result<Scalar<'de>, Mismatch> {
    match field {
        Field::Text(text) => Ok(Scalar::Text(text)),
        Field::Json(json) => Ok(Scalar::Json(&json.0)),
        Field::Missing => Err(Mismatch::new(format!("is missing, {expected} is expected"))),
        Field::List(values) => single(values, expected),
        Field::Record(record) => single(&record.values, expected),
    }
}

fn single<'de>(values: &'de [Field<'_>], expected: &str) -> Result<Scalar<'de>, Mismatch> {
    match values {
        [value] => scalar(value, expected),
        _ => Err(Mismatch::new(format!("has {} values, one is expected: {expected}", values.len()))),
    }
}

/// Reads a complete JSON text with one of serde_json's methods.
fn read_json<'de, T>(
    text: &'de str,
    read: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'de>>) -> serde_json::Result<T>,
) -> Result<T, Mismatch> {
    let mut json = serde_json::Deserializer::from_str(text);
    read(&mut json).and_then(|value| json.end().map(|()| value)).map_err(|error| Mismatch::json(text, &error))
}

/// Writes one method per type that a single text is converted to.
macro_rules! from_text {
    ($($method:ident, $visit:ident, $expected:literal, $parse:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            match scalar(self.0, $expected)? {
                Scalar::Text(text) => visitor.$visit($parse(text)?),
                Scalar::Json(text) => read_json(text, |json| json.$method(visitor)),
            }
        }
    )*};
}

/// Reads a field. Not done by `Field` itself, so that its error type stays private.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de, 'a>(pub(super) &'de Field<'a>);

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Mismatch;

    from_text! {
        deserialize_bool, visit_bool, "true or false (bool)", boolean;
        deserialize_i8, visit_i8, "a whole number (i8)", integer::<i8>;
        deserialize_i16, visit_i16, "a whole number (i16)", integer::<i16>;
        deserialize_i32, visit_i32, "a whole number (i32)", integer::<i32>;
        deserialize_i64, visit_i64, "a whole number (i64)", integer::<i64>;
        deserialize_i128, visit_i128, "a whole number (i128)", integer::<i128>;
        deserialize_u8, visit_u8, "a whole number (u8)", integer::<u8>;
        deserialize_u16, visit_u16, "a whole number (u16)", integer::<u16>;
        deserialize_u32, visit_u32, "a whole number (u32)", integer::<u32>;
        deserialize_u64, visit_u64, "a whole number (u64)", integer::<u64>;
        deserialize_u128, visit_u128, "a whole number (u128)", integer::<u128>;
        deserialize_f32, visit_f32, "a number (f32)", float::<f32>;
        deserialize_f64, visit_f64, "a number (f64)", float::<f64>;
        deserialize_char, visit_char, "one character", single_char;
        deserialize_str, visit_borrowed_str, "a text", Ok::<_, Mismatch>;
        deserialize_string, visit_borrowed_str, "a text", Ok::<_, Mismatch>;
        deserialize_identifier, visit_borrowed_str, "a name", Ok::<_, Mismatch>;
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match scalar(self.0, "bytes")? {
            Scalar::Text(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            Scalar::Json(text) => read_json(text, |json| json.deserialize_bytes(visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Field::Missing => visitor.visit_unit(),
            Field::Text(text) => visitor.visit_borrowed_str(text),
            Field::Json(json) => read_json(&json.0, |reader| reader.deserialize_any(visitor)),
            Field::List(values) => match values.as_slice() {
                [value] => Reader(value).deserialize_any(visitor),
                values => Elements::visit(values, visitor),
            },
            Field::Record(record) => match record.values.as_slice() {
                [value] => Reader(value).deserialize_any(visitor),
                _ => Entries::visit(record, visitor),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Field::Missing => visitor.visit_none(),
            Field::Json(json) if json.0.trim_ascii() == "null" => visitor.visit_none(),
            Field::Text(_) | Field::Json(_) => visitor.visit_some(self),
            Field::List(values) => match values.as_slice() {
                [Field::Missing] => visitor.visit_none(),
                _ => visitor.visit_some(self),
            },
            Field::Record(record) => match record.values.as_slice() {
                [Field::Missing] => visitor.visit_none(),
                _ => visitor.visit_some(self),
            },
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Field::Missing => visitor.visit_unit(),
            Field::Json(json) => read_json(&json.0, |reader| reader.deserialize_unit(visitor)),
            Field::Text(text) if text.is_empty() => visitor.visit_unit(),
            Field::Text(text) => Err(Mismatch::of(text, format_args!("is a value where none is expected"))),
            Field::List(_) | Field::Record(_) => Err(Mismatch::new("holds values where none is expected")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Field::List(values) => Elements::visit(values, visitor),
            Field::Record(record) => Elements::visit(&record.values, visitor),
            Field::Missing => Err(Mismatch::new("is missing, a list is expected")),
            Field::Json(json) => read_json(&json.0, |reader| reader.deserialize_seq(visitor)),
            Field::Text(text) if opens_with(text, '[') => read_json(text, |reader| reader.deserialize_seq(visitor)),
            Field::Text(text) => Err(Mismatch::of(text, format_args!("is not a list such as [1,2,3]"))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Field::Record(record) => Entries::visit(record, visitor),
            Field::Missing => Err(Mismatch::new("is missing, named values are expected")),
            Field::List(values) => match values.as_slice() {
                [value] => Reader(value).deserialize_map(visitor),
                _ => Err(Mismatch::new("holds values without names, named values are expected")),
            },
            Field::Json(json) => read_json(&json.0, |reader| reader.deserialize_map(visitor)),
            Field::Text(text) if opens_with(text, '{') => read_json(text, |reader| reader.deserialize_map(visitor)),
            Field::Text(text) => Err(Mismatch::of(text, format_args!("is not an object such as {{\"key\":1}}"))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Field::List(values) if values.len() != 1 => Elements::visit(values, visitor),
            Field::Json(json) => read_json(&json.0, |reader| reader.deserialize_struct(name, fields, visitor)),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match scalar(self.0, "the name of a variant")? {
            Scalar::Text(text) if variants.contains(&text) => {
                let text: de::value::StrDeserializer<'_, Mismatch> = text.into_deserializer();
                text.deserialize_enum(name, variants, visitor)
            }
            Scalar::Text(text) if !opens_with(text, '{') => {
                Err(Mismatch::of(text, format_args!("is none of {}", variants.join(", "))))
            }
            Scalar::Text(text) | Scalar::Json(text) => {
                read_json(text, |reader| reader.deserialize_enum(name, variants, visitor))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }
}

fn opens_with(text: &str, bracket: char) -> bool {
    text.trim_ascii_start().starts_with(bracket)
}
