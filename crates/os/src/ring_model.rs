//! The ring, gone through in every order in which its two ends can take their steps.
//!
//! The same code as in a page runs here over words and cells of loom's, which keep account of what one thread may know of
//! the other's writes: a byte that is read while it is written, or before its writing is known, is found. Weaker orders than
//! the ring's are tried as well, and must be found out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;

use crate::ring::{Bytes, HEADER, Ring};
use crate::word::Word;

/// Room for two records of up to 16 bytes: the third has to wait for the reader, and wraps.
const CAPACITY: usize = 64;
const CELL: usize = HEADER as usize;

/// A word whose orders may be weaker than the ring asks for.
struct Weak {
    word: AtomicU64,
    order: fn(Ordering) -> Ordering,
}

impl Word for Weak {
    fn load(&self, order: Ordering) -> u64 {
        self.word.load((self.order)(order))
    }

    fn store(&self, value: u64, order: Ordering) {
        self.word.store(value, (self.order)(order));
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.word.fetch_add(value, order)
    }

    fn fetch_update(&self, set: Ordering, fetch: Ordering, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.word.fetch_update(set, fetch, change)
    }
}

/// Memory that notices who reads what nobody has told it is written.
struct Cells([UnsafeCell<[u8; CELL]>; CAPACITY / CELL]);

impl Cells {
    fn get(&self, offset: usize) -> [u8; CELL] {
        // SAFETY: loom ends the run when another thread may be writing, and the pointer is that of a live cell.
        self.0[offset / CELL].with(|cell| unsafe { cell.read() })
    }

    fn set(&self, offset: usize, bytes: [u8; CELL]) {
        // SAFETY: as above, for any other access.
        self.0[offset / CELL].with_mut(|cell| unsafe { cell.write(bytes) });
    }
}

impl Bytes for &Cells {
    fn capacity(&self) -> u64 {
        CAPACITY as u64
    }

    fn write_header(&self, offset: usize, [first, second]: [u64; 2]) {
        self.set(offset, (u128::from(second) << 64 | u128::from(first)).to_le_bytes());
    }

    fn read_header(&self, offset: usize) -> [u64; 2] {
        let both = u128::from_le_bytes(self.get(offset));
        [both as u64, (both >> 64) as u64]
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        for (place, piece) in bytes.chunks(CELL).enumerate() {
            let mut cell = [0; CELL];
            cell[..piece.len()].copy_from_slice(piece);
            self.set((offset + place * CELL) % CAPACITY, cell);
        }
    }

    fn copy(&self, offset: usize, length: usize, out: &mut Vec<u8>) {
        let end = out.len() + length;
        for place in 0..length.div_ceil(CELL) {
            out.extend(self.get((offset + place * CELL) % CAPACITY));
        }
        out.truncate(end);
    }
}

struct Shared {
    head: Weak,
    tail: Weak,
    cells: Cells,
}

impl Shared {
    fn ring(&self) -> Ring<'_, Weak, &Cells> {
        Ring { head: &self.head, tail: &self.tail, bytes: &self.cells }
    }
}

/// Three records of a cell each, then the writer is done; `head` and `tail` have these orders.
fn go_through(head: fn(Ordering) -> Ordering, tail: fn(Ordering) -> Ordering) {
    loom::model(move || {
        let word = |order| Weak { word: AtomicU64::new(0), order };
        let cells = Cells(std::array::from_fn(|_| UnsafeCell::new([0; CELL])));
        let shared = Arc::new(Shared { head: word(head), tail: word(tail), cells });
        let writer = {
            let shared = shared.clone();
            thread::spawn(move || {
                for number in 0..3 {
                    while !shared.ring().push(number, 7, &[number as u8; CELL]) {
                        thread::yield_now();
                    }
                }
            })
        };
        let mut at = 0;
        for number in 0..3 {
            let record = loop {
                match shared.ring().peek(at).expect("nobody lies") {
                    Some(record) => break record,
                    None => thread::yield_now(),
                }
            };
            assert_eq!((record.tag, record.extra), (number, 7));
            let mut bytes = Vec::new();
            at = shared.ring().copy(at, record, &mut bytes);
            assert_eq!(bytes, [number as u8; CELL]);
            shared.ring().free(at);
        }
        writer.join().expect("it only pushes");
    });
}

fn as_asked(order: Ordering) -> Ordering {
    order
}

fn relaxed(_: Ordering) -> Ordering {
    Ordering::Relaxed
}

#[test]
fn records_arrive_whole_in_every_order_of_steps() {
    go_through(as_asked, as_asked);
}

#[test]
fn weaker_orders_are_found_out() {
    for (end, head, tail) in [
        ("head", relaxed as fn(_) -> _, as_asked as fn(_) -> _),
        ("tail", as_asked as fn(_) -> _, relaxed as fn(_) -> _),
    ] {
        let outcome = catch_unwind(AssertUnwindSafe(|| go_through(head, tail)));
        assert!(outcome.is_err(), "nobody notices that the {end} is not published");
    }
}
