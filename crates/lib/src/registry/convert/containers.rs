//! Hands the values of a list or record to a visitor, and names the one that fails.

use super::super::error::Mismatch;
use super::super::field::{Field, Record};
use super::Reader;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// Walks through values in order.
pub(super) struct Elements<'de, 'a> {
    values: &'de [Field<'a>],
    next: usize,
}

impl<'de, 'a> Elements<'de, 'a> {
    /// Lets `visitor` take the values, all of them.
    pub(super) fn visit<V: Visitor<'de>>(values: &'de [Field<'a>], visitor: V) -> Result<V::Value, Mismatch> {
        let mut elements = Self { values, next: 0 };
        let value = visitor.visit_seq(&mut elements)?;
        if elements.next < values.len() {
            return Err(Mismatch::new(format!("has {} values, {} are expected", values.len(), elements.next)));
        }
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'de, '_> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let position = self.next;
        let Some(value) = self.values.get(position) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(Reader(value)).map(Some).map_err(|mismatch| mismatch.at(position))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len() - self.next)
    }
}

/// Walks through named values in order.
pub(super) struct Entries<'de, 'a> {
    record: &'de Record<'a>,
    next: usize,
}

impl<'de, 'a> Entries<'de, 'a> {
    /// Lets `visitor` take the names and values.
    pub(super) fn visit<V: Visitor<'de>>(record: &'de Record<'a>, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_map(Self { record, next: 0 })
    }
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        let Some(name) = self.record.names.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let position = self.next - 1;
        seed.deserialize(Reader(&self.record.values[position])).map_err(|mismatch| mismatch.at(position))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.record.names.len() - self.next)
    }
}
