//! What every worker of a gang is given, and what is asked of it when it leaves.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Source;
use crate::wire::descriptor::Parcel;

/// The same for all workers of a pool.
#[derive(Debug)]
pub(crate) struct Outfit {
    /// Sent to every worker first, encoded.
    pub(crate) setup: Parcel,
    pub(crate) exit: Option<ExitTerms>,
    /// Where the pool has its tokens from.
    pub(crate) source: Source,
}

/// The exit hook, as the supervisor knows it.
#[derive(Clone, Debug)]
pub(crate) struct ExitTerms {
    /// The name of its function, for messages.
    pub(crate) name: Arc<str>,
    /// How long it may take.
    pub(crate) limit: Duration,
}
