//! Endpoints of the `ipc-channel` crate as arguments and results, for programs that use it.
//!
//! Only with the feature `ipc-channel`. See [`Ipc`].

// `carried` is the wrapper that users see; `bridge`, how descriptors get into and out of that crate.
mod bridge;
mod carried;

pub use carried::Ipc;
