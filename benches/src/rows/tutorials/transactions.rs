//! T1: 20,000 rows of payments as a graph, and for each party how far its money gets.

use serde_json::json;

use super::examples::transactions::{Network, csv, load, loaded, parallel, sequential};
use super::{Report, report, timed_loop};
use crate::Result;
use crate::contest::{Contestant, Score, contest, timed};
use crate::python::Peer;
use crate::table::Bound;

const ROWS: u64 = 20_000;

pub(crate) fn measure(quick: bool) -> Result<Report> {
    let python = Peer::start("transactions.py")?;
    let text = csv(ROWS);
    python.prepare("start", &json!({ "text": text }))?;
    let (network, _) = load(text.clone()).map_err(|error| error.to_string())?;
    let scores = contest(
        "ms",
        if quick { 2 } else { 11 },
        [
            Contestant::new("pool", || {
                // A pool for each turn, as a task is used up; it is there before the clock starts, as CPython's is.
                let (pool, task) = loaded(text.clone())?;
                let mut network = network.clone();
                timed(|| parallel(&pool, task, &mut network).map(|()| network), totals)
            }),
            Contestant::new("loop", || {
                let mut network = network.clone();
                timed_loop(|| (sequential(&mut network), network).1, totals)
            }),
            python.contestant("map", json!({})),
            python.contestant("callbacks", json!({})),
            python.contestant("loop", json!({})),
        ],
    )?;
    let [pool, own_loop, their_map, their_callbacks, their_loop] = &scores;
    let lines = vec![
        Score::line("T1: CPython map / pool, 20,000 payments", pool, their_map, Bound::None),
        Score::line("T1: CPython apply_async with callbacks / pool", pool, their_callbacks, Bound::None),
        Score::line("T1: loop / pool", pool, own_loop, Bound::None),
        Score::line("T1: CPython loop / loop", own_loop, their_loop, Bound::None),
    ];
    Ok(report(lines, scores))
}

/// How many parties are reached and how many cents are paid, over all nodes.
fn totals(network: Network) -> (u64, u64) {
    let reaches = network.node_weights().filter_map(|party| party.2);
    reaches.fold((0, 0), |(parties, cents), reach| (parties + reach.0, cents + reach.1))
}
