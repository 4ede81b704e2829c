//! Memory that processes share: [`Value`], [`Array`], [`SharedArray`] and [`SealedArray`].
//!
//! * [`element`]: what can be in it. [`dtype`]: its name, for messages, `.npy` files and the memory's label.
//! * [`block`]: the memory itself, with a label that a receiver looks at.
//! * [`value`], [`array`]: numbers that everybody reads and writes at any time, atomically.
//! * [`shape`]: rows and places. [`shared_array`]: rows that one writes or several read. [`rows`]: the use of them, for as
//!   long as it lasts. [`sealed`]: what nobody writes any more. [`views`]: all of these as `ndarray`'s views.
//! * [`npy`]: files of NumPy's.

mod array;
mod block;
mod dtype;
mod element;
mod npy;
mod rows;
mod sealed;
mod shape;
mod shared_array;
mod value;
#[cfg(feature = "ndarray")]
mod views;

pub use array::Array;
pub use element::{Element, Integer, Number, Plain};
pub use rows::{Rows, RowsMut};
pub use sealed::SealedArray;
pub use shared_array::SharedArray;
pub use value::Value;
