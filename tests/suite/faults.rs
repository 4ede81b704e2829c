//! The fault matrix: every fault that a worker can commit, under every start method, in gangs of every size. The rows and
//! what they expect are in the library, as the scoreboard prints the same cells as a table.

use ganger::StartMethod;
use ganger_tests::Case;
use ganger_tests::faults::{Cell, FAULTS, WORKERS, missing, skips};

pub(crate) const ONCE: crate::Once = table![the_list_of_the_machine_s_rows_is_right];

/// All cells. What this machine cannot run prints its reason.
pub(crate) fn matrix() -> impl Iterator<Item = Case> {
    FAULTS.iter().flat_map(|fault| {
        StartMethod::ALL.into_iter().flat_map(move |method| {
            WORKERS.into_iter().map(move |workers| {
                let cell = Cell { fault, method, workers };
                let run = Box::new(move || _ = cell.run());
                let name = format!("faults::{}::{method}::{workers}", fault.name);
                Case { skip: missing(fault.name), ..Case::new(name, run) }
            })
        })
    })
}

/// A row that is skipped by accident would be missed by nobody.
fn the_list_of_the_machine_s_rows_is_right() {
    let runs = FAULTS.iter().filter(|fault| missing(fault.name).is_none());
    let runs: String = runs.map(|fault| format!("    \"{}\",\n", fault.name)).collect();
    let skips: String = skips().iter().map(|(name, reason)| format!("{name} = \"{reason}\"\n")).collect();
    let now = format!("rows = [\n{runs}]\n\n[skipped]\n{skips}");
    let listed = include_str!("../matrix.toml");
    let listed = listed.split_once("\n\n").unwrap().1;
    assert!(
        listed == now,
        "tests/matrix.toml is not what this machine can run, which is:\n{now}\ninstead of:\n{listed}"
    );
}
