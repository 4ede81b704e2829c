//! One cell, in the process that the scoreboard has started for it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use ganger::{Callbacks, Pool, StartMethod};
use ganger_tests::faults::{Answer, Cell, FAULTY, fault};
use ganger_tests::{Gate, Log, die, wait_until};
use nix::sys::signal::Signal;

use crate::rows::{ROWS, Scene};
use crate::told::Told;
use crate::{initializer, unanswered};

/// Longer than the scoreboard's patience, which is what ends a cell that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the cell of that name: `ROW/METHOD`, or `FAULT/METHOD/WORKERS` of the matrix.
pub(crate) fn run(name: &str) {
    let parts: Vec<&str> = name.split('/').collect();
    let method: StartMethod = parts[1].parse().unwrap();
    if let Some(workers) = parts.get(2) {
        let cell = Cell { fault: fault(parts[0]), method, workers: workers.parse().unwrap() };
        let took = cell.run();
        return Told { seconds: took.as_secs_f64(), ..Told::default() }.tell();
    }
    let row = ROWS.iter().find(|row| row.name == parts[0]).unwrap();
    let told = match row.scene {
        Scene::Fault(name) => among_others(&Cell { fault: fault(name), method, workers: 2 }),
        Scene::Unanswered(name) => unanswered::run(&Cell { fault: fault(name), method, workers: 2 }),
        Scene::InitializerFails => initializer::fails(method),
        Scene::InitializerExits => initializer::exits(method),
        Scene::CallbackPanics => callback_panics(method),
        Scene::ParentKilled => parent_killed(method),
    };
    told.tell();
}

/// Twenty tasks, of which one commits the fault; the pool is ended in order.
fn among_others(cell: &Cell) -> Told {
    let pool = cell.pool();
    let mut told = Told::default();
    let start = Instant::now();
    let outcomes: Vec<_> = cell.submit(&pool).iter().map(|handle| handle.get_timeout(PATIENCE).unwrap()).collect();
    told.seconds = start.elapsed().as_secs_f64();
    for (index, outcome) in (0..).zip(&outcomes) {
        let right = outcome.as_ref().map_or(index == FAULTY, |answer| *answer == Answer::Plain(index));
        told.require(right, format!("task {index} ended with {outcome:?}"));
        told.count(outcome);
    }
    finish(pool);
    told
}

pub(crate) fn finish(pool: Pool) {
    pool.close();
    pool.join().unwrap();
}

fn callback_panics(method: StartMethod) -> Told {
    let pool = Pool::builder().workers(2).start_method(method).build().unwrap();
    let mut told = Told::default();
    let (sender, receiver) = mpsc::channel();
    let start = Instant::now();
    let call = |index: u32| {
        let sender = sender.clone();
        let callbacks = Callbacks::new(move |value: u32| {
            assert_ne!(value, FAULTY, "on purpose");
            sender.send(value).unwrap();
        });
        pool.apply_async_with(|index: u32| index, (index,), callbacks)
    };
    let handles: Vec<_> = (0..20).map(call).collect();
    handles.iter().for_each(|handle| told.count(&handle.get_timeout(PATIENCE).unwrap()));
    told.seconds = start.elapsed().as_secs_f64();
    drop(sender);
    finish(pool);
    let called = receiver.try_iter().count();
    told.require(called == 19, format!("{called} of the other 19 callbacks were called"));
    let panic = handles[FAULTY as usize].callback_panic().unwrap_or("nothing");
    told.require(panic.contains("on purpose"), format!("the handle knows of {panic:?} instead of the panic"));
    told
}

/// What is left of it is for the scoreboard to see.
fn parent_killed(method: StartMethod) -> Told {
    fn never_ends(_: u32) {
        Log::new("running").add(std::process::id());
        Gate::new("never").pass();
    }
    let pool = Pool::builder().workers(2).start_method(method).build().unwrap();
    let _handles: Vec<_> = (0..20).map(|index| pool.apply_async(never_ends, (index,))).collect();
    wait_until("two tasks run", PATIENCE, || Log::new("running").lines(), |pids| pids.len() == 2);
    Told::default().tell();
    die(Signal::SIGKILL)
}
