//! T4: sums of numbers that tasks add to a manager's dictionary, what is faster, and the sums of many lists.

use ganger::{Manager, Pool};

use crate::examples::many_lists;
use crate::examples::sums::{self, Sum};
use crate::stage::{Fallible, Stage, count};

/// Up to so many numbers are added one by one, a message to the manager for each.
const MOST_ONE_BY_ONE: u64 = 10_000;

pub(crate) fn run(stage: &mut Stage<'_>) -> Fallible<()> {
    let (manager, pool) = (Manager::new()?, stage.pool()?);
    let most = stage.size([1_000, 10_000_000, 100_000_000]);
    for size in sums::SIZES.into_iter().filter(|size| *size <= most.min(MOST_ONE_BY_ONE)) {
        row(stage, &pool, (size, "one by one"), |pool| sums::one_by_one(pool, &manager, size));
    }
    for size in sums::SIZES.into_iter().filter(|size| *size == most || (MOST_ONE_BY_ONE + 1..most).contains(size)) {
        row(stage, &pool, (size, "in batches"), |pool| sums::in_batches(pool, &manager, size));
        row(stage, &pool, (size, "fold"), |pool| sums::folded(pool, size));
        row(stage, &pool, (size, "partial sums"), |pool| sums::partial_sums(pool, size));
    }
    lists(stage, &pool, &manager);
    Ok(())
}

fn row(stage: &mut Stage<'_>, pool: &Pool, (size, way): (u64, &str), parallel: impl FnOnce(&Pool) -> Sum) {
    stage.compare(format!("sum of {} numbers, {way}", count(size)), pool, || Ok(sums::sequential(size)), parallel);
}

fn lists(stage: &mut Stage<'_>, pool: &Pool, manager: &Manager) {
    let (lists, size) = stage.size([(3, 1_000), (8, 10_000), (7, 10_000_000)]);
    let sizes = many_lists::sizes(lists, size);
    stage.compare(
        format!("{lists} lists of {} numbers, a pool each", count(size)),
        pool,
        || Ok(many_lists::sequential(&sizes)),
        |pool| many_lists::parallel(pool, manager, &sizes),
    );
}
