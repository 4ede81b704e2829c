//! Functions that are no tasks, as tests: each must fail to compile. The first shows that only the named fault does it.
//!
//! ```
//! #[ganger::task]
//! fn fine(x: i64) -> Result<i64, String> { Ok(x) }
//! ```
//!
//! Generic functions:
//!
//! ```compile_fail
//! #[ganger::task]
//! fn generic<T: serde::de::DeserializeOwned>(x: T) {}
//! ```
//!
//! Futures:
//!
//! ```compile_fail
//! #[ganger::task]
//! async fn asynchronous(x: i64) {}
//! ```
//!
//! Unsafe functions:
//!
//! ```compile_fail
//! #[ganger::task]
//! unsafe fn dangerous(x: i64) {}
//! ```
//!
//! Borrowed arguments:
//!
//! ```compile_fail
//! #[ganger::task]
//! fn borrows(x: &str) {}
//! ```
//!
//! Borrows inside:
//!
//! ```compile_fail
//! #[ganger::task]
//! fn borrows_inside(x: Vec<&'static str>) {}
//! ```
//!
//! Patterns:
//!
//! ```compile_fail
//! #[ganger::task]
//! fn pattern((x, y): (i64, i64)) {}
//! ```
//!
//! Errors that cannot be displayed:
//!
//! ```compile_fail
//! #[ganger::task]
//! fn error_without_text(x: i64) -> Result<i64, ()> { Ok(x) }
//! ```
//!
//! Unknown options:
//!
//! ```compile_fail
//! #[ganger::task(nam = "x")]
//! fn unknown_option(x: i64) {}
//! ```
//!
//! Bad names:
//!
//! ```compile_fail
//! #[ganger::task(name = "two words")]
//! fn bad_name(x: i64) {}
//! ```
