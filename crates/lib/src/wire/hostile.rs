//! What must hold for bytes that nobody has thought of. Here they are made up by proptest; `fuzz/` has libFuzzer look for
//! them by the same functions.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::AtomicU64;

use ganger_os::socket::Received;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::claim::{self, POSITIONS};
use super::codec::{decode, encode};
use super::frame::{HEADER, Header, Inbox, MOST_BYTES};
use super::message::{Definition, Failure, Setup, Status, tag, untag};

/// Bytes as they may arrive on a link, in pieces of 1 to 64 bytes.
pub(crate) fn frames(bytes: &[u8]) {
    let mut inbox = Inbox::default();
    let (mut rest, mut used) = (bytes, 0);
    let mut piece = 1;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        let received = inbox.receive(|room| {
            room[..now.len()].copy_from_slice(now);
            Ok::<_, ()>(Received::Bytes(now.len()))
        });
        assert_eq!(received, Ok(Received::Bytes(now.len())));
        (rest, piece) = (later, piece % 64 + 1);
        loop {
            match inbox.next_frame() {
                Ok(Some((header, body))) => {
                    assert!(body.len() == header.length as usize && body.len() <= MOST_BYTES);
                    assert_eq!(header.to_bytes(), bytes[used..used + HEADER]);
                    assert_eq!(*body, bytes[used + HEADER..used + HEADER + body.len()]);
                    used += HEADER + body.len();
                }
                Ok(None) => break,
                // Whoever sent it is killed.
                Err(_) => return assert!(malformed(&bytes[used..])),
            }
        }
    }
    assert_eq!(*inbox.unread(), bytes[used..]);
}

/// Whether what begins with these bytes has to be refused.
fn malformed(bytes: &[u8]) -> bool {
    let header = bytes.first_chunk::<HEADER>().expect("a header is judged when it is there");
    Header::from_bytes(header).is_ok_and(|header| header.length as usize > MOST_BYTES)
        || Header::from_bytes(header).is_err()
}

/// Bytes that a worker may give for a value, of whatever type it should be.
pub(crate) fn values(bytes: &[u8]) {
    value::<Failure>(bytes);
    value::<Setup>(bytes);
    value::<Definition>(bytes);
    value::<String>(bytes);
    value::<Vec<u64>>(bytes);
    value::<Vec<String>>(bytes);
    value::<Vec<Vec<Vec<u8>>>>(bytes);
    value::<BTreeMap<u8, Option<char>>>(bytes);
    value::<(i64, bool, Vec<Option<f64>>, Result<u8, Box<str>>)>(bytes);
}

/// What can be read has these very bytes, unless it is a map, whose entries may have come in another order.
fn value<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8]) {
    let Ok(value) = decode::<T>(bytes) else { return };
    let again = bytes_of(&value);
    let read = decode::<T>(&again).expect("it was just written");
    assert_eq!(bytes_of(&read), again, "{value:?}");
    assert!(again.len() <= bytes.len(), "{value:?}");
}

fn bytes_of<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).expect("plain data");
    bytes
}

/// A claim word that somebody has scribbled over, and the number that stands beside a result.
pub(crate) fn words(word: u64, number: u32) {
    let (byte, position) = untag(number);
    assert_eq!(tag(byte, position), number);
    assert!(position < POSITIONS);
    assert!(Status::from_byte(byte).is_none_or(|status| status as u8 == byte));
    let shared = AtomicU64::new(word);
    let before = claim::read(&shared);
    assert!(before.next < POSITIONS && before.limit < POSITIONS);
    let claimed = claim::claim(&shared, before.epoch, position);
    assert_eq!(claimed, before.next == position && position < before.limit);
    let kept = claim::take_back(&shared);
    assert_eq!(kept, before.next + u32::from(claimed));
    assert!(!claim::claim(&shared, before.epoch, kept));
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::frame::Kind;
    use super::super::message::Call;
    use super::*;
    use crate::rlimit::Rlimit;
    use crate::wire::attributes::{Attributes, Limit};

    /// What a decoder may allocate beyond some times what it was given: serde takes the word of a sequence's length for up
    /// to 1 MiB, once in each of the sequences that are within each other.
    const AT_ONCE: u64 = 4 << 20;

    fn header() -> impl Strategy<Value = Header> {
        let kinds = Kind::ALL.to_vec();
        (prop::sample::select(kinds), any::<u16>(), any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
            |(kind, epoch, position, job, index)| Header { epoch, position, job, index, ..Header::plain(kind, 0) },
        )
    }

    fn frame() -> impl Strategy<Value = (Header, Vec<u8>)> {
        (header(), vec(any::<u8>(), 0..200))
            .prop_map(|(header, body)| (Header { length: body.len() as u32, ..header }, body))
    }

    fn whole(frames: &[(Header, Vec<u8>)]) -> Vec<u8> {
        frames.iter().flat_map(|(header, body)| [&header.to_bytes(), &body[..]].concat()).collect()
    }

    fn text() -> impl Strategy<Value = String> {
        "\\PC{0,40}"
    }

    fn failure() -> impl Strategy<Value = Failure> {
        let maybe = || prop::option::of(text());
        (text(), maybe(), maybe(), any::<u64>(), any::<Option<u64>>()).prop_map(
            |(message, location, backtrace, peak_memory, item)| Failure {
                message,
                location,
                backtrace,
                peak_memory,
                item,
            },
        )
    }

    fn call() -> impl Strategy<Value = Call> {
        (any::<u64>(), vec(any::<u8>(), 0..50), any::<u32>()).prop_map(|(entry, bound, descriptors)| Call {
            entry,
            bound,
            descriptors,
        })
    }

    fn attributes() -> impl Strategy<Value = Attributes> {
        let limit = (prop::sample::select(&Rlimit::ALL), any::<(u64, u64)>());
        let limit = limit.prop_map(|(resource, (soft, hard))| Limit { resource, soft, hard });
        (vec(limit, 0..3), any::<Option<i32>>(), vec(any::<usize>(), 0..3))
            .prop_map(|(rlimits, niceness, cpus)| Attributes { rlimits, niceness, cpus })
    }

    /// Something sound, as bytes.
    fn sound() -> impl Strategy<Value = Vec<u8>> {
        let calls = [(); 3].map(|()| prop::option::of(call()));
        let setup = (calls, any::<u64>(), any::<bool>(), attributes());
        prop_oneof![
            vec(frame(), 1..5).prop_map(|frames| whole(&frames)),
            failure().prop_map(|failure| bytes_of(&failure)),
            (call(), any::<u64>()).prop_map(|(call, number)| bytes_of(&Definition { call, number })),
            setup.prop_map(|([preload, initializer, exit], seed, tell_memory, attributes)| {
                bytes_of(&Setup { preload, initializer, exit, seed, tell_memory, attributes })
            }),
            vec(text(), 0..8).prop_map(|texts| bytes_of(&texts)),
        ]
    }

    /// What may befall bytes on their way.
    #[derive(Clone, Debug)]
    enum Damage {
        Bit(prop::sample::Index, u8),
        /// A length that lies, wherever it is taken for one.
        Number(prop::sample::Index, u64),
        Cut(prop::sample::Index),
        Twice(prop::sample::Index),
    }

    fn damage() -> impl Strategy<Value = Damage> {
        let place = any::<prop::sample::Index>;
        let number = prop_oneof![
            any::<u64>(),
            Just(u64::MAX),
            Just(MOST_BYTES as u64),
            Just(MOST_BYTES as u64 + 1),
            (0_u32..63).prop_map(|bits| 1 << bits)
        ];
        prop_oneof![
            (place(), 0..8_u8).prop_map(|(place, bit)| Damage::Bit(place, bit)),
            (place(), number).prop_map(|(place, number)| Damage::Number(place, number)),
            place().prop_map(Damage::Cut),
            place().prop_map(Damage::Twice),
        ]
    }

    fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
        for damage in damages {
            let length = bytes.len();
            if length == 0 {
                break;
            }
            match damage {
                Damage::Bit(place, bit) => bytes[place.index(length)] ^= 1 << bit,
                Damage::Number(place, number) => {
                    let start = place.index(length);
                    let end = length.min(start + 8);
                    bytes[start..end].copy_from_slice(&number.to_le_bytes()[..end - start]);
                }
                Damage::Cut(place) => bytes.truncate(place.index(length)),
                Damage::Twice(place) => bytes.extend_from_within(place.index(length)..),
            }
        }
        bytes
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(any::<u8>(), 0..300),
            (sound(), vec(damage(), 0..6)).prop_map(|(bytes, damages)| damaged(bytes, &damages)),
        ]
    }

    /// Runs a reader; it must not allocate what the bytes only claim.
    fn within_bounds(bytes: &[u8], read: impl Fn(&[u8])) {
        let most = measure(|| read(bytes)).bytes_max;
        assert!(most <= AT_ONCE + 64 * bytes.len() as u64, "{most} bytes allocated for {}", bytes.len());
    }

    proptest! {
        // As many cases as `PROPTEST_CASES` says, or 256; what fails is printed, at its smallest.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_upset_the_readers(bytes in hostile()) {
            within_bounds(&bytes, frames);
            within_bounds(&bytes, values);
        }

        #[test]
        fn no_word_upsets_the_claims(word: u64, number: u32) {
            words(word, number);
        }

        #[test]
        fn frames_come_out_as_they_went_in(sent in vec(frame(), 0..6), size in 1_usize..300) {
            let (mut inbox, mut received) = (Inbox::default(), Vec::new());
            for piece in whole(&sent).chunks(size) {
                let put = inbox.receive(|room| {
                    room[..piece.len()].copy_from_slice(piece);
                    Ok::<_, ()>(Received::Bytes(piece.len()))
                });
                prop_assert!(put.is_ok());
                while let Some((header, body)) = inbox.next_frame().expect("sound") {
                    received.push((header, body.to_vec()));
                }
            }
            prop_assert_eq!(received, sent);
        }

        #[test]
        fn values_come_out_as_they_went_in(
            failure in failure(),
            plain: (i128, u8, bool, char, f32, Option<i16>, Result<u64, String>),
            texts in vec(text(), 0..20),
        ) {
            prop_assert_eq!(decode::<Failure>(&bytes_of(&failure)).expect("sound"), failure);
            // Compared as bytes: NaN equals nothing.
            let read: (i128, u8, bool, char, f32, Option<i16>, Result<u64, String>) =
                decode(&bytes_of(&plain)).expect("sound");
            prop_assert_eq!(bytes_of(&read), bytes_of(&plain));
            prop_assert_eq!(decode::<Vec<String>>(&bytes_of(&texts)).expect("sound"), texts);
        }
    }

    /// What the property above finds by chance is found here for certain.
    #[test]
    fn a_text_that_claims_much_is_refused_before_there_is_room_for_it() {
        for claimed in [2 << 20, 1 << 30, MOST_BYTES as u64] {
            let bytes = [&claimed.to_le_bytes()[..], b"but it is short"].concat();
            within_bounds(&bytes, |bytes| assert!(decode::<String>(bytes).is_err()));
        }
    }
}
