//! Tasks that will not end, and for which nobody has set a limit: they are reported by name, and cancelled.

use std::time::{Duration, Instant};

use ganger::{Pool, Trouble};
use ganger_tests::faults::{Cell, FAULTY, victim};
use ganger_tests::wait_until;

use crate::cell::{PATIENCE, finish};
use crate::told::Told;

/// Within this time the trouble has to be reported.
const REPORTED: Duration = Duration::from_secs(5);

pub(crate) fn run(cell: &Cell) -> Told {
    let pool = cell.pool();
    let mut told = Told::default();
    let start = Instant::now();
    let handles = cell.submit(&pool);
    let (faulty, others): (Vec<_>, Vec<_>) = (0..).zip(&handles).partition(|(index, _)| *index == FAULTY);
    others.iter().for_each(|(_, handle)| told.count(&handle.get_timeout(PATIENCE).unwrap()));
    let pid = victim();
    let trouble = trouble_of(&pool, pid);
    let reported = start.elapsed();
    told.require(reported <= REPORTED, format!("it was reported after {reported:?}"));
    told.require(pool.worker_pids().get(trouble.worker() as usize) == Some(&pid), "another worker is named");
    told.reported = Some((reported.as_secs_f64(), trouble.to_string()));
    let (_, handle) = faulty[0];
    told.require(!handle.ready(), "it has ended by itself");
    let start = Instant::now();
    told.require(handle.cancel(), "it could not be cancelled");
    told.count(&handle.get_timeout(PATIENCE).unwrap());
    told.seconds = start.elapsed().as_secs_f64();
    finish(pool);
    told
}

fn trouble_of(pool: &Pool, pid: u32) -> Trouble {
    let look = || pool.troubles().into_iter().find(|trouble| trouble.pid() == pid);
    wait_until("the worker is reported", PATIENCE, look, Option::is_some).unwrap()
}
