//! T1: rows of a file become a graph, and what is found out for each node is put into it by a callback.

use std::rc::Rc;

use ganger::{Pool, StartMethod, Task};

use crate::examples::transactions::{self, Network, Reach};
use crate::stage::{Fallible, Stage, count};

pub(crate) fn run(stage: &mut Stage<'_>) -> Fallible<()> {
    let rows: u64 = stage.size([1_000, 20_000, 200_000]);
    let text = transactions::csv(rows);
    let network = Rc::new(transactions::load(text.clone())?.0);
    if ganger::start_method() == StartMethod::Fork {
        let (pool, task) = stage.started(|| transactions::forked(&network))?;
        compare(stage, rows, &pool, task, &network)
    } else {
        let (pool, task) = stage.started(|| transactions::loaded(text))?;
        compare(stage, rows, &pool, task, &network)
    }
}

fn compare(
    stage: &mut Stage<'_>,
    rows: u64,
    pool: &Pool,
    task: impl Task<(u32,), Reach>,
    network: &Network,
) -> Fallible<()> {
    pool.resize(stage.plan.workers)?;
    let (mut alone, mut together) = (network.clone(), network.clone());
    stage.compare(
        format!("{} rows: how far money gets", count(rows)),
        pool,
        || {
            transactions::sequential(&mut alone);
            Ok(reaches(&alone))
        },
        |pool| {
            transactions::parallel(pool, task, &mut together)?;
            Ok(reaches(&together))
        },
    );
    Ok(())
}

/// What was found out for each party.
fn reaches(network: &Network) -> Vec<Option<Reach>> {
    network.node_weights().map(|party| party.2).collect()
}
