//! Time limits, as they travel.

use std::time::Duration;

use super::protocol::Patience;

/// Not at all.
pub(super) const NOW: Patience = Some(0);

/// For so long at most. No time at all is a moment: it would mean not to wait, which is another operation.
pub(super) fn for_at_most(limit: Duration) -> Patience {
    Some(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1))
}
