//! How workers are started: the choices that a builder offers.

/// Where the standard output of workers goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stdout {
    /// To the caller's standard output. The default, as in Python.
    #[default]
    Inherit,
    /// To the caller's standard error: for programs whose own output must stay clean.
    ToStderr,
}
