//! What must hold for bytes that nobody has thought of, where they reach this crate: in the packets of supervisor and
//! guardian, in the variable that makes a process a worker, in a ring, and in `/proc`. Here they are made up by proptest;
//! `fuzz/` has libFuzzer look for them by the same functions.

use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use crate::process::parse;
use crate::ring::{Mapped, Ring};
use crate::socket::Packet;
use crate::start::boot::Order;
use crate::start::control::{Hello, Report, Request};

/// The size of the ring that is made up.
const CAPACITY: usize = 256;

/// Bytes as they may arrive on a control socket, or in the boot variable.
pub(crate) fn packets(bytes: &[u8]) {
    if let Ok(hello) = Hello::from_packet(bytes) {
        assert_eq!(Hello::from_packet(&hello.to_packet()).expect("it was just written"), hello);
    }
    if let Ok(request) = Request::from_packet(bytes) {
        assert_eq!(Request::from_packet(&request.to_packet()).expect("it was just written"), request);
    }
    // What it says is a number or a text: any will do.
    let _ = Report::from_packet(Packet { bytes: bytes.to_vec(), fds: Vec::new() });
    if let Some(order) = Order::from_text(&String::from_utf8_lossy(bytes)) {
        assert_eq!(Order::from_text(&order.to_text()), Some(order));
    }
}

/// The two ends of a ring, 8 bytes each, and what is in it, as somebody may have left them who writes what he likes.
pub(crate) fn ring(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk() else { return };
    let Some((tail, rest)) = rest.split_first_chunk() else { return };
    let head = AtomicU64::new(u64::from_le_bytes(*head));
    // Where the reader is nobody else decides: at a multiple of a header.
    let mut at = u64::from_le_bytes(*tail) & !15;
    let mut memory = [0_u128; CAPACITY / 16];
    for (word, bytes) in memory.iter_mut().zip(rest.as_chunks().0) {
        *word = u128::from_le_bytes(*bytes);
    }
    // SAFETY: the memory is aligned to 16, of this size, and not touched but through this until the function returns.
    let bytes = unsafe { Mapped::new(NonNull::from(&mut memory).cast(), CAPACITY) };
    let ring = Ring { head: &head, tail: &AtomicU64::new(at), bytes };
    let mut out = Vec::new();
    while let Ok(Some(record)) = ring.peek(at) {
        let before = out.len();
        at = ring.copy(at, record, &mut out);
        assert_eq!(out.len() - before, record.length as usize);
        assert!(out.len() <= CAPACITY, "more came out than there is");
        ring.free(at);
    }
}

/// What `/proc` may say of a process whose name is somebody's choice: two files, with a zero byte between them.
pub(crate) fn vitals(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (stat, status) = text.split_once('\0').unwrap_or((&text, ""));
    let _ = parse(stat, status, 100);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::image::EntryPoint;
    use crate::start::Method;

    fn hello() -> impl Strategy<Value = Hello> {
        let preload = prop::option::of((any::<u64>(), vec(any::<u8>(), 0..40)));
        let method = prop::sample::select(vec![Method::Forkserver, Method::Spawn, Method::Fork]);
        (method, any::<i32>(), any::<(u64, u64)>(), any::<[bool; 2]>(), preload, ["\\PC{0,20}", "\\PC{0,20}"]).prop_map(
            |(method, supervisor, image, [stdout_to_stderr, single], preload, [name, group])| Hello {
                method,
                supervisor,
                image,
                stdout_to_stderr,
                single,
                preload: preload.map(|(entry, arguments)| (EntryPoint::from_wire(entry), arguments)),
                name,
                group,
            },
        )
    }

    /// A sound packet with some of its bytes replaced, and cut.
    fn nearly_sound() -> impl Strategy<Value = Vec<u8>> {
        let sound = prop_oneof![
            hello().prop_map(|hello| hello.to_packet()),
            any::<(u32, u32)>().prop_map(|(slot, generation)| Request::Start { slot, generation }.to_packet()),
            (1_u8..9, vec(any::<u8>(), 0..60)).prop_map(|(kind, body)| [&[kind, 2], &body[..]].concat()),
            "worker:[0-9]{1,12}:[0-9]{1,12}:-?[0-9]{1,12}:[01]:\\PC{0,9}".prop_map(String::into_bytes),
        ];
        let replaced = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
        (sound, replaced, any::<prop::sample::Index>()).prop_map(|(mut bytes, replaced, cut)| {
            for (place, byte) in replaced {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.truncate(cut.index(2 * bytes.len()) + 1);
            bytes
        })
    }

    /// A ring whose ends are near each other, as otherwise it is refused at once; and records that may be sound.
    fn nearly_a_ring() -> impl Strategy<Value = Vec<u8>> {
        let record = (0_u32..300, any::<u32>(), any::<u64>(), vec(any::<u8>(), 16));
        (any::<u64>(), 0_u64..300, vec(record, 0..9)).prop_map(|(tail, used, records)| {
            let ends = [tail.wrapping_add(used).to_le_bytes(), tail.to_le_bytes()].concat();
            let records = records.into_iter().flat_map(|(length, tag, extra, bytes)| {
                [&length.to_le_bytes()[..], &tag.to_le_bytes(), &extra.to_le_bytes(), &bytes].concat()
            });
            ends.into_iter().chain(records).collect()
        })
    }

    proptest! {
        // As many cases as `PROPTEST_CASES` says, or 256; what fails is printed, at its smallest.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_packet_upsets_its_reader(sound in nearly_sound(), noise in vec(any::<u8>(), 0..100)) {
            packets(&sound);
            packets(&noise);
        }

        #[test]
        fn no_ring_upsets_its_reader(nearly in nearly_a_ring(), noise in vec(any::<u8>(), 0..300)) {
            ring(&nearly);
            ring(&noise);
        }

        #[test]
        fn no_process_upsets_who_looks_at_it(name in "\\PC{0,30}", rest in "[0-9A-Za-z \0):-]{0,200}", noise: Vec<u8>) {
            vitals(format!("1 ({name}) {rest}").as_bytes());
            vitals(&noise);
        }

        #[test]
        fn packets_come_out_as_they_went_in(hello in hello(), slot: u32, generation: u32) {
            prop_assert_eq!(Hello::from_packet(&hello.to_packet()).expect("sound"), hello);
            let request = Request::Start { slot, generation };
            prop_assert_eq!(Request::from_packet(&request.to_packet()).expect("sound"), request);
        }
    }
}
