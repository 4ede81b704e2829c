//! Many operations in one round trip.

use std::borrow::Borrow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::addend::Addend;
use super::client::{Proxy, unreadable};
use super::dict::Dict;
use super::list::List;
use super::protocol::{Blob, EntryOp, ListOp, Op, append, end, first_answer};
use crate::error::Error;

/// How large a message of [`in_pieces`] is, about: as much as a server receives at once.
const PIECE: usize = 256 * 1024;

/// Operations that are written down, to be carried out together; see [`Dict::batch`] and [`List::batch`].
///
/// ```
/// let manager = ganger::Manager::new()?;
/// let squares = manager.list::<u64>()?;
/// let (slots, results) = squares.batch(|batch| {
///     for number in 0..10 {
///         batch.push(&(number * number));
///     }
///     (batch.pop(), batch.get(3))
/// })?;
/// results.check()?;
/// assert_eq!((results.get(slots.0)?, results.get(slots.1)?), (Some(81), Some(9)));
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Debug)]
pub struct Batch<'a, P> {
    proxy: &'a Proxy,
    frame: Vec<u8>,
    count: usize,
    /// Why one could not be written down.
    error: Option<Error>,
    of: PhantomData<fn(P)>,
}

/// Where the result of an operation of a [`Batch`] will be.
#[derive(Debug)]
pub struct Slot<R> {
    place: usize,
    result: PhantomData<fn() -> R>,
}

impl<R> Clone for Slot<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Slot<R> {}

/// The results of a [`Batch`].
#[derive(Debug)]
pub struct Replies {
    proxy: Proxy,
    body: Vec<u8>,
    /// Where in the body each begins.
    starts: Vec<usize>,
}

impl Replies {
    /// The result of the operation for which the batch gave this slot.
    ///
    /// # Errors
    /// What the operation itself, alone, would have returned.
    ///
    /// # Panics
    /// When the slot is of another, larger batch.
    pub fn get<R: DeserializeOwned>(&self, slot: Slot<R>) -> Result<R, Error> {
        let (answer, _) = first_answer(&self.body[self.starts[slot.place]..]).map_err(unreadable)?;
        self.proxy.read(answer)
    }

    /// How many results there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether the batch was empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Whether all operations were carried out.
    ///
    /// # Errors
    /// That of the first that failed.
    pub fn check(&self) -> Result<(), Error> {
        let mut rest = self.body.as_slice();
        while !rest.is_empty() {
            let (answer, next) = first_answer(rest).map_err(unreadable)?;
            answer?;
            rest = next;
        }
        Ok(())
    }
}

impl<'a, P> Batch<'a, P> {
    fn new(proxy: &'a Proxy) -> Self {
        Self { proxy, frame: proxy.frame(), count: 0, error: None, of: PhantomData }
    }

    /// Has `fill` write operations down, and carries them out.
    pub(super) fn carried_out<T>(proxy: &'a Proxy, fill: impl FnOnce(&mut Self) -> T) -> Result<(T, Replies), Error> {
        let mut batch = Self::new(proxy);
        let filled = fill(&mut batch);
        Ok((filled, batch.carry_out()?))
    }

    /// How many operations are written down.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn carry_out(mut self) -> Result<Replies, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let proxy = self.proxy.clone();
        if self.count == 0 {
            return Ok(Replies { proxy, body: Vec::new(), starts: Vec::new() });
        }
        end(&mut self.frame);
        let body = proxy.exchange(&self.frame)?;
        let mut starts = Vec::with_capacity(self.count);
        let mut rest = body.as_slice();
        for _ in 0..self.count {
            starts.push(body.len() - rest.len());
            rest = first_answer(rest).map_err(unreadable)?.1;
        }
        Ok(Replies { proxy, body, starts })
    }

    /// Writes an operation down, with its parts in bytes.
    fn write<R, const PARTS: usize>(
        &mut self,
        parts: [Result<Vec<u8>, Error>; PARTS],
        op: impl for<'b> FnOnce([Blob<'b>; PARTS]) -> Op<'b>,
    ) -> Slot<R> {
        let slot = Slot { place: self.count, result: PhantomData };
        let mut bytes = [const { Vec::new() }; PARTS];
        for (part, place) in parts.into_iter().zip(&mut bytes) {
            match part {
                Ok(part) => *place = part,
                Err(error) => drop(self.error.get_or_insert(error)),
            }
        }
        append(&op(bytes.each_ref().map(|bytes| Blob(bytes))), &mut self.frame);
        self.count += 1;
        slot
    }
}

impl<K, V> Batch<'_, Dict<K, V>> {
    /// [`Dict::get`].
    pub fn get<Q: Serialize + ?Sized>(&mut self, key: &Q) -> Slot<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.write([self.proxy.bytes(key)], |[key]| Op::Entry(key, EntryOp::Get))
    }

    /// [`Dict::insert`].
    pub fn insert<Q: Serialize + ?Sized>(&mut self, key: &Q, value: &V) -> Slot<Option<V>>
    where
        K: Borrow<Q>,
        V: Serialize,
    {
        let parts = [self.proxy.bytes(key), self.proxy.bytes(value)];
        self.write(parts, |[key, value]| Op::Entry(key, EntryOp::Insert(value)))
    }

    /// [`Dict::insert`], for those who do not ask what was there.
    pub fn put<Q: Serialize + ?Sized>(&mut self, key: &Q, value: &V) -> Slot<()>
    where
        K: Borrow<Q>,
        V: Serialize,
    {
        let parts = [self.proxy.bytes(key), self.proxy.bytes(value)];
        self.write(parts, |[key, value]| Op::Entry(key, EntryOp::Put(value)))
    }

    /// [`Entry::or_insert`](super::Entry::or_insert).
    pub fn or_insert<Q: Serialize + ?Sized>(&mut self, key: &Q, value: &V) -> Slot<V>
    where
        K: Borrow<Q>,
        V: Serialize,
    {
        let parts = [self.proxy.bytes(key), self.proxy.bytes(value)];
        self.write(parts, |[key, value]| Op::Entry(key, EntryOp::OrInsert(value)))
    }

    /// [`Dict::remove`].
    pub fn remove<Q: Serialize + ?Sized>(&mut self, key: &Q) -> Slot<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.write([self.proxy.bytes(key)], |[key]| Op::Entry(key, EntryOp::Remove))
    }

    /// [`Dict::contains`].
    pub fn contains<Q: Serialize + ?Sized>(&mut self, key: &Q) -> Slot<bool>
    where
        K: Borrow<Q>,
    {
        self.write([self.proxy.bytes(key)], |[key]| Op::Entry(key, EntryOp::Contains))
    }

    /// [`Dict::add`].
    pub fn add<Q: Serialize + ?Sized>(&mut self, key: &Q, by: V) -> Slot<V>
    where
        K: Borrow<Q>,
        V: Addend,
    {
        let parts = [self.proxy.bytes(key), self.proxy.bytes(&by)];
        self.write(parts, |[key, by]| Op::Entry(key, EntryOp::Add(Blob(&[]), V::TAG, by)))
    }
}

impl<T> Batch<'_, List<T>> {
    /// [`List::push`].
    pub fn push(&mut self, value: &T) -> Slot<()>
    where
        T: Serialize,
    {
        self.write([self.proxy.bytes(value)], |[value]| Op::List(ListOp::Push(value)))
    }

    /// [`List::pop`].
    pub fn pop(&mut self) -> Slot<Option<T>> {
        self.write([], |[]| Op::List(ListOp::Pop))
    }

    /// [`List::get`].
    pub fn get(&mut self, index: usize) -> Slot<Option<T>> {
        self.write([], |[]| Op::List(ListOp::Get(index as u64)))
    }

    /// [`List::set`].
    pub fn set(&mut self, index: usize, value: &T) -> Slot<Option<T>>
    where
        T: Serialize,
    {
        self.write([self.proxy.bytes(value)], |[value]| Op::List(ListOp::Set(index as u64, value)))
    }

    /// [`List::add`].
    pub fn add(&mut self, index: usize, by: T) -> Slot<Option<T>>
    where
        T: Addend,
    {
        self.write([self.proxy.bytes(&by)], |[by]| Op::List(ListOp::Add(index as u64, T::TAG, by)))
    }
}

/// Carries out an operation for each of many items, in messages of about [`PIECE`] bytes, so that there is no end to how
/// many there may be.
pub(super) fn in_pieces<P, T, R>(
    proxy: &Proxy,
    items: impl IntoIterator<Item = T>,
    put: impl Fn(&mut Batch<'_, P>, T) -> Slot<R>,
) -> Result<(), Error> {
    let mut batch = Batch::new(proxy);
    for item in items {
        put(&mut batch, item);
        if batch.frame.len() >= PIECE {
            std::mem::replace(&mut batch, Batch::new(proxy)).carry_out()?.check()?;
        }
    }
    batch.carry_out()?.check()
}
