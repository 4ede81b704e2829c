//! The rows of the fault matrix.

use ganger::TaskErrorKind;
use ganger::TaskErrorKind::{Exited, Failed, Killed, NotDeserializable, NotSerializable, Panicked, ProtocolViolation};

use super::answers::{self, Outcome};
use super::stops::{self, Meddling};
use super::{bytes, company, deaths, limits};

/// A row.
#[derive(Debug)]
pub struct Fault {
    /// As it is called in tables and names of cases.
    pub name: &'static str,
    /// What its task does, in the worker.
    pub(super) commit: fn() -> Outcome,
    /// What is done to the worker meanwhile.
    pub meddling: Meddling,
    /// The error with which the task has to end, if it has to. All others have to end well.
    pub expected: Option<TaskErrorKind>,
}

/// The row of that name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn fault(name: &str) -> &'static Fault {
    FAULTS.iter().find(|fault| fault.name == name).unwrap()
}

const fn fine(name: &'static str, commit: fn() -> Outcome) -> Fault {
    Fault { name, commit, meddling: Meddling::None, expected: None }
}

const fn fatal(name: &'static str, commit: fn() -> Outcome, kind: TaskErrorKind) -> Fault {
    Fault { name, commit, meddling: Meddling::None, expected: Some(kind) }
}

const fn meddled(
    name: &'static str,
    commit: fn() -> Outcome,
    meddling: Meddling,
    expected: Option<TaskErrorKind>,
) -> Fault {
    Fault { name, commit, meddling, expected }
}

/// All rows.
pub static FAULTS: &[Fault] = &[
    fatal("sigkill", deaths::sigkill, Killed(9)),
    fatal("sigsegv", deaths::sigsegv, Killed(11)),
    fatal("sigbus", deaths::sigbus, Killed(7)),
    fatal("sigill", deaths::sigill, Killed(4)),
    fatal("sigfpe", deaths::sigfpe, Killed(8)),
    fatal("sigterm", deaths::sigterm, Killed(15)),
    fatal("sigint", deaths::sigint, Killed(2)),
    fatal("abort", deaths::abort, Killed(6)),
    fatal("panic", deaths::panics, Panicked),
    fatal("double-panic", deaths::double_panic, Killed(6)),
    fatal("panic-with-a-bomb", deaths::panics_with_a_bomb, Panicked),
    // Not SIGABRT: Rust's own handler is not there in workers (`crates/os/src/takeover.rs`, `signal.rs`).
    fatal("stack-overflow", deaths::stack_overflow, Killed(11)),
    fatal("exit-0", deaths::exit_0, Exited(0)),
    fatal("exit-1", deaths::exit_1, Exited(1)),
    fatal("exit-3", deaths::exit_3, Exited(3)),
    fatal("exit-255", deaths::exit_255, Exited(255)),
    fatal("_exit-0", deaths::leave_0, Exited(0)),
    fatal("becomes-true", deaths::becomes_true, Exited(0)),
    fatal("becomes-sleep", deaths::becomes_sleep, ProtocolViolation),
    fatal("returns-err", answers::fails, Failed),
    fatal("result-not-serializable", answers::unserializable, NotSerializable),
    fatal("result-panics-in-serialize", answers::panics_in_serialize, Panicked),
    fatal("result-cannot-be-decoded", answers::undecodable, NotDeserializable),
    fine("result-larger-than-the-ring", answers::large),
    fatal("closes-its-link", bytes::closes_its_link, ProtocolViolation),
    fatal("closes-everything", bytes::closes_everything, ProtocolViolation),
    fine("closes-standard-streams", bytes::closes_standard_streams),
    fatal("descriptors-for-nothing", bytes::sends_descriptors_for_nothing, ProtocolViolation),
    fatal("garbage-zeros", bytes::zeros, ProtocolViolation),
    fatal("garbage-ones", bytes::ones, ProtocolViolation),
    fatal("garbage-text", bytes::text, ProtocolViolation),
    fatal("frame-of-another-version", bytes::other_version, ProtocolViolation),
    fatal("frame-of-no-kind", bytes::unknown_kind, ProtocolViolation),
    fatal("frame-of-the-supervisor", bytes::orders, ProtocolViolation),
    fatal("frame-cut-in-its-header", bytes::half_a_header_then_death, Killed(9)),
    fatal("frame-cut-in-its-body", bytes::half_a_body_then_death, Killed(9)),
    fatal("frame-of-4-GiB", bytes::huge_length, ProtocolViolation),
    fatal("frame-of-2-GiB-and-death", bytes::largest_length_then_death, Killed(9)),
    fine("result-twice", bytes::answers_twice),
    fatal("result-for-another-task", bytes::answers_for_another, ProtocolViolation),
    fine("result-and-death", bytes::answers_and_dies),
    fatal("failure-is-noise", bytes::unreadable_failure, Failed),
    fatal("result-of-no-status", bytes::unknown_status, ProtocolViolation),
    fatal("ring-is-corrupt", bytes::corrupts_the_ring, ProtocolViolation),
    fatal("record-cut-in-the-ring", bytes::dies_in_a_record, Killed(9)),
    fatal("claims-are-scribbled-over", bytes::scribbles_and_dies, Killed(9)),
    fine("shrinks-the-page", bytes::shrinks_the_page),
    fatal("grandchild-holds-the-link", company::heir_of_the_link, Killed(9)),
    fine("daemon", company::daemon),
    fine("re-forking-runner", company::runner),
    fine("zombies", company::zombies),
    fatal("memory-limit", limits::memory, Killed(6)),
    fatal("file-size-limit", limits::file_size, Killed(25)),
    fine("descriptor-limit", limits::descriptors),
    fine("process-limit", limits::processes),
    meddled("stopped-and-continued", stops::stops, Meddling::Continue, None),
    meddled("stopped-and-killed", stops::stops, Meddling::KillStopped, Some(Killed(9))),
    meddled("sleeps-and-killed", stops::sleeps, Meddling::Kill, Some(Killed(9))),
    meddled("ignores-sigterm-and-killed", stops::ignores_sigterm, Meddling::Kill, Some(Killed(9))),
    fatal("traced", stops::traced, Killed(9)),
];
