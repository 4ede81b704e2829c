//! What happens to the children of a process that ends in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ganger_os::signal;

use super::child::Child;
use super::context::context;

/// How long daemons get between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Ends the daemons, then waits for the others, as long as they take: that is what Python does, and what makes a daemon.
pub(super) fn see_to_children() {
    let (daemons, others): (Vec<Arc<Child>>, Vec<Arc<Child>>) =
        context().children().into_iter().partition(|child| child.daemon);
    // All at once, so that it takes one grace and not many.
    daemons.iter().for_each(|child| child.pidfd.signal(signal::TERMINATE));
    let until = Instant::now() + GRACE;
    for child in &daemons {
        child.stop(until);
    }
    for child in &others {
        // Without a deadline, as it says above.
        child.wait(None);
    }
}
