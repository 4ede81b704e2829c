//! The operating-system layer of ganger: everything that needs `unsafe` or a Linux system call.
//!
//! The library above speaks of pools and tasks; this crate knows processes, descriptors and pages. It starts the
//! [guardian](start::Guardian) and, through it, workers; it maps functions to offsets in the executable ([`image`]); it
//! shares one [page](page::Page) with each worker. It is not meant to be used directly: its API follows the
//! library's needs and changes with them.
#![expect(unsafe_code, reason = "this is the one crate of the workspace that may hold unsafe code")]
#![deny(unsafe_op_in_unsafe_fn)]

pub mod biased;
pub mod catch;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod ending;
pub mod fd;
pub mod forks;
pub mod frozen;
pub mod huge;
pub mod image;
pub mod lease;
pub mod lock;
pub mod measure;
pub mod memory;
pub mod mutant;
pub mod output;
pub mod page;
pub mod per_process;
pub mod plain;
pub mod poll;
pub mod probe;
pub mod process;
pub mod queue;
pub mod random;
pub mod ready;
pub mod rlimit;
pub mod scheduling;
pub mod signal;
pub mod socket;
pub mod start;
pub mod thread;
pub mod word;

#[cfg(test)]
mod biased_model;
#[cfg(any(test, fuzzing))]
mod hostile;
mod incarnation;
mod mapping;
mod ring;
#[cfg(test)]
mod ring_model;
mod takeover;
mod title;

pub use takeover::{Hooks, Seat, TAKEOVER};
pub use title::set_title;

/// What `fuzz/` tries; in no other build.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    /// See `hostile.rs`.
    pub fn packets(bytes: &[u8]) {
        crate::hostile::packets(bytes);
    }

    /// See `hostile.rs`.
    pub fn ring(bytes: &[u8]) {
        crate::hostile::ring(bytes);
    }

    /// See `hostile.rs`.
    pub fn vitals(bytes: &[u8]) {
        crate::hostile::vitals(bytes);
    }
}
