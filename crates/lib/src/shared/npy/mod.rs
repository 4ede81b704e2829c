//! Files of NumPy's, `.npy`.
//!
//! * [`header`]: what a file says about itself. [`read`] and [`write`]: the methods of arrays.

mod header;
mod read;
mod write;
