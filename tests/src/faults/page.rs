//! The memory that a worker shares with its supervisor, reached by file: through `/proc/self/mem`.
//!
//! The layout is that of `crates/os/src/page.rs`: a claim word at 0, the ring's head at 128, its tail at 192, and
//! its records from 4096.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const CLAIM: u64 = 0;
const HEAD: u64 = 128;
const TAIL: u64 = 192;
const WORDS: u64 = 4096;
const RING: u64 = 1 << 20;

/// Where the page is mapped in this process: from, and to.
fn mapped() -> (u64, u64) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("memfd:ganger-link")).unwrap();
    let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
    let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
    (from, to)
}

fn read(offset: u64) -> u64 {
    let mut word = [0; 8];
    OpenOptions::new()
        .read(true)
        .open("/proc/self/mem")
        .unwrap()
        .read_exact_at(&mut word, mapped().0 + offset)
        .unwrap();
    u64::from_le_bytes(word)
}

/// The position of the task that this worker has claimed.
pub(super) fn own_position() -> u32 {
    // The fields of the claim word: epoch:16 | next:24 | limit:24.
    (read(CLAIM) >> 24) as u32 % (1 << 24) - 1
}

/// Whether the supervisor has taken every result that was put into the ring.
pub(super) fn is_ring_empty() -> bool {
    read(HEAD) == read(TAIL)
}

fn write(offset: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open("/proc/self/mem").unwrap().write_all_at(bytes, mapped().0 + offset).unwrap();
}

/// Claims that the ring holds more than it has room for.
pub(super) fn corrupt_ring() {
    write(HEAD, &[0xFF; 8]);
}

/// Writes the header of a record, and some of its bytes, and does not publish it: as far as a worker gets that dies there.
pub(super) fn begin_a_record() {
    let at = WORDS + read(HEAD) % RING;
    write(at, &1000_u64.to_le_bytes());
    // At the ring's very end the rest would be elsewhere.
    write((at + 16).min(WORDS + RING - 8), &[0xAA; 8]);
}

/// Claims to have claimed everything.
///
/// # Panics
/// When this process is no worker.
pub fn scribble_over_claims() {
    write(CLAIM, &[0xFF; 8]);
}

/// A path at which the page can be opened.
pub(super) fn path() -> PathBuf {
    let (from, to) = mapped();
    format!("/proc/self/map_files/{from:x}-{to:x}").into()
}
