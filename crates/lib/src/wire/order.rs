//! What a process that makes a single call is told.

use serde::{Deserialize, Serialize};

use super::attributes::Attributes;

/// Everything but the call's arguments, which come behind it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The shim's offset in the executable.
    pub(crate) entry: u64,
    /// How many bytes of the payload are bound arguments; the others are the call's.
    pub(crate) bound: u64,
    /// How many of its descriptors are within them.
    pub(crate) bound_descriptors: u32,
    pub(crate) name: String,
    /// See [`Identity`](crate::identity::Identity).
    pub(crate) path: Vec<u32>,
    pub(crate) daemon: bool,
    /// The process that it is started by, and that one's name.
    pub(crate) parent: (i32, String),
    /// The start method that it uses when none is named.
    pub(crate) method: Option<String>,
    /// Which of its standard streams come with the order.
    pub(crate) streams: [bool; 3],
    pub(crate) attributes: Attributes,
}
