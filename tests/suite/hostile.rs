//! Workers that write where they should not, and live on.

use ganger::{Pool, StartMethod, TaskErrorKind};
use ganger_tests::faults::scribble_over_claims;
use ganger_tests::within;

use crate::kit::{SOON, finish, square};

pub(crate) const CONTRACT: crate::Contract = table![worker_that_scribbles_over_its_claims_holds_nobody_up,];

fn scribble(x: i64) -> i64 {
    if x == 7 {
        scribble_over_claims();
    }
    square(x)
}

/// It may claim nothing any more, and would drop what it is sent without a word.
fn worker_that_scribbles_over_its_claims_holds_nobody_up(method: StartMethod) {
    for workers in [1, 2] {
        let pool = Pool::builder().workers(workers).start_method(method).build().unwrap();
        let outcomes = within("the map", SOON, || pool.try_map(scribble, 0..200));
        let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        // The one that was due: nobody can say whether it had begun.
        assert!(failed.len() <= 1, "{failed:?}");
        assert!(failed.iter().all(|error| error.kind() == TaskErrorKind::ProtocolViolation), "{failed:?}");
        for (x, value) in (0..).zip(&outcomes) {
            assert!(value.as_ref().map_or(true, |value| *value == x * x), "{x}: {value:?}");
        }
        assert_eq!(within("a call", SOON, || pool.map(square, 0..20)).unwrap().len(), 20);
        finish(pool);
    }
}
