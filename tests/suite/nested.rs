//! Pools in pools: one budget, however deep, and nobody waits for ever.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ganger::{ErrorKind, Pool, StartMethod, TaskErrorKind, partial};
use ganger_tests::{Gate, Log, holds_within, marked, own_mark, scratch, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, pass_gate, pool, signal, square};

pub(crate) const CONTRACT: crate::Contract = table![
    pools_three_deep_share_one_budget,
    one_task_may_use_the_whole_budget,
    tokens_of_a_killed_worker_come_back,
    tasks_of_the_outer_pool_wait_for_lent_tokens,
    nested_pool_runs_while_its_task_does_not_wait,
    nested_pools_of_one_task_take_turns,
    nested_pool_shrinks_when_it_has_nothing_to_do,
    nested_pool_retries_a_crash,
    nested_pool_with_its_own_budget_shares_nothing,
    budget_bounds_a_pool_of_more_workers,
    nested_pool_ends_with_its_task,
];

/// Runs, and says how many run at that moment.
fn leaf(_: u32) -> u32 {
    let directory = scratch("running");
    fs::create_dir_all(&directory).unwrap();
    let own = Path::new(&directory).join(std::process::id().to_string());
    fs::write(&own, []).unwrap();
    let run = || fs::read_dir(&directory).unwrap().count();
    let most = (0..5).map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        run()
    });
    let most = most.max().unwrap();
    fs::remove_file(&own).unwrap();
    most as u32
}

fn built(method: &str, workers: usize) -> Pool {
    pool(method.parse().unwrap(), workers)
}

/// The largest number of leaves at a time in a tree of pools.
fn branch(method: String, width: u32, depth: u32) -> u32 {
    let pool = built(&method, width as usize);
    let most = if depth == 1 {
        pool.map(leaf, 0..2 * width).unwrap()
    } else {
        pool.map(partial(branch, (method, width)), vec![depth - 1; width as usize]).unwrap()
    };
    finish(pool);
    most.into_iter().max().unwrap()
}

fn pools_three_deep_share_one_budget(method: StartMethod) {
    const WIDTH: u32 = 3;
    let outer = pool(method, WIDTH as usize);
    let running = outer.map_async(partial(branch, (method.to_string(), WIDTH)), vec![3; WIDTH as usize]);
    let mut processes = 0;
    let done = holds_within(Duration::from_secs(40), || {
        processes = processes.max(marked(&own_mark()).len());
        running.ready()
    });
    assert!(done, "no deadlock");
    let most = running.get().unwrap().into_iter().max().unwrap();
    assert!((1..=WIDTH).contains(&most), "{most} leaves at a time");
    // Every pool with all of its workers and a guardian would be 4 + 3 * 4 + 9 * 4 + 27 * 4.
    assert!(processes < 70, "{processes} processes at a time");
    finish(outer);
}

/// Waits until `all` have come.
fn meet(name: String, all: u32, own: u32) -> u32 {
    Log::new(&name).add(own);
    Log::new(&name).wait_for(all as usize);
    own
}

fn meeting(method: String, all: u32) -> Vec<u32> {
    let pool = built(&method, all as usize);
    pool.map(partial(meet, ("inner".to_owned(), all)), 0..all).unwrap()
}

fn one_task_may_use_the_whole_budget(method: StartMethod) {
    let outer = pool(method, 4);
    for _ in 0..3 {
        let met = within("meeting", SOON, || outer.apply(meeting, (method.to_string(), 4)));
        assert_eq!(met.unwrap(), [0, 1, 2, 3]);
    }
    finish(outer);
}

fn hold(method: String) -> u32 {
    let pool = built(&method, 2);
    let wait = |name: String| {
        Log::new("held").add(std::process::id());
        pass_gate(name);
    };
    pool.map(wait, ["never".to_owned(), "never".to_owned()]).unwrap();
    0
}

fn tokens_of_a_killed_worker_come_back(method: StartMethod) {
    let outer = pool(method, 2);
    for round in 1..=2 {
        let holding = outer.apply_async(hold, (method.to_string(),));
        Log::new("held").wait_for(2 * round);
        let pids: Vec<u32> =
            outer.workers().into_iter().filter(|it| it.running().is_some()).map(|it| it.pid()).collect();
        assert_eq!(pids.len(), 1);
        signal(pids[0], Signal::SIGKILL);
        assert_eq!(holding.get().unwrap_err().kind(), TaskErrorKind::Killed(9));
        let both = outer.map(partial(meet, (format!("outer-{round}"), 2)), 0..2);
        assert_eq!(both.unwrap(), [0, 1], "two can run at a time");
    }
    finish(outer);
}

fn tasks_of_the_outer_pool_wait_for_lent_tokens(method: StartMethod) {
    fn inner(method: String) -> u32 {
        let pool = built(&method, 2);
        let leaf = |own: u32| {
            meet("both".to_owned(), 2, own);
            pass_gate("leaves".to_owned());
            leaf(own)
        };
        pool.map(leaf, 0..2).unwrap().into_iter().max().unwrap()
    }
    let outer = pool(method, 2);
    let holding = outer.apply_async(inner, (method.to_string(),));
    Log::new("both").wait_for(2);
    let waiting = outer.map_async(leaf, 0..4);
    assert!(!waiting.wait_timeout(Duration::from_millis(50)), "both tokens are lent");
    Gate::new("leaves").open();
    let most = [waiting.get().unwrap(), vec![holding.get().unwrap()]].concat().into_iter().max().unwrap();
    assert!(most <= 2, "{most} at a time");
    finish(outer);
}

fn nested_pool_runs_while_its_task_does_not_wait(method: StartMethod) {
    fn poll(method: String) -> i64 {
        let pool = built(&method, 3);
        let squares = pool.map_async(square, 0..100);
        wait_until("it is ready", SOON, || squares.ready(), |ready| *ready);
        squares.get().unwrap().into_iter().sum()
    }
    let outer = pool(method, 1);
    assert_eq!(outer.apply(poll, (method.to_string(),)), Ok((0..100).map(|x| x * x).sum()));
    finish(outer);
}

fn nested_pools_of_one_task_take_turns(method: StartMethod) {
    fn both(method: String) -> i64 {
        let pools = [built(&method, 2), built(&method, 2)];
        let one = |round: i64| pools[round as usize % 2].map_async(square, round..round + 10);
        let calls: Vec<_> = (0..20).map(one).collect();
        calls.into_iter().flat_map(|call| call.get().unwrap()).sum()
    }
    let expected: i64 = (0..20).flat_map(|round| round..round + 10).map(|x| x * x).sum();
    for workers in [1, 2] {
        let outer = pool(method, workers);
        assert_eq!(within("both", SOON, || outer.apply(both, (method.to_string(),))), Ok(expected));
        finish(outer);
    }
}

fn nested_pool_shrinks_when_it_has_nothing_to_do(method: StartMethod) {
    fn rest(method: String) -> Vec<usize> {
        let pool = built(&method, 3);
        let before = pool.worker_pids().len();
        pool.map(partial(meet, ("grown".to_owned(), 3)), 0..3).unwrap();
        let grown = pool.worker_pids().len();
        let left = wait_until("the others leave", SOON, || pool.worker_pids().len(), |pids| *pids == 1);
        assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4], "it is as good as before");
        vec![before, grown, left]
    }
    let outer = pool(method, 3);
    assert_eq!(outer.apply(rest, (method.to_string(),)).unwrap(), [1, 3, 1]);
    finish(outer);
}

fn nested_pool_retries_a_crash(method: StartMethod) {
    fn stubborn(method: String) -> Vec<u32> {
        let retry = ganger::Retry::new(3).backoff(Duration::from_millis(1)..=Duration::from_millis(2));
        let builder = Pool::builder().workers(3).start_method(method.parse().unwrap());
        let pool = builder.retry(retry).build().unwrap();
        let crashes = |x: u32| if x == 5 && ganger::attempt() < 3 { std::process::abort() } else { x };
        pool.map(crashes, 0..10).unwrap()
    }
    let outer = pool(method, 1);
    let values = within("trying again", SOON, || outer.apply(stubborn, (method.to_string(),)));
    assert_eq!(values.unwrap(), (0..10).collect::<Vec<_>>());
    finish(outer);
}

fn nested_pool_with_its_own_budget_shares_nothing(method: StartMethod) {
    fn own(method: String) -> Vec<u32> {
        let builder = Pool::builder().workers(2).start_method(method.parse().unwrap());
        let pool = builder.budget(2).build().unwrap();
        pool.map(partial(meet, ("own".to_owned(), 2)), 0..2).unwrap()
    }
    let outer = pool(method, 1);
    assert_eq!(within("meeting", SOON, || outer.apply(own, (method.to_string(),))).unwrap(), [0, 1]);
    finish(outer);
}

fn budget_bounds_a_pool_of_more_workers(method: StartMethod) {
    let error = Pool::builder().start_method(method).budget(0).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    let pool = Pool::builder().workers(3).start_method(method).budget(1).build().unwrap();
    assert_eq!(pool.map(leaf, 0..9).unwrap(), [1; 9]);
    finish(pool);
    // A pool of one worker whose tasks may use more.
    let outer = Pool::builder().workers(1).start_method(method).budget(3).build().unwrap();
    assert_eq!(within("meeting", SOON, || outer.apply(meeting, (method.to_string(), 3))).unwrap(), [0, 1, 2]);
    finish(outer);
}

fn nested_pool_ends_with_its_task(method: StartMethod) {
    fn careless(method: String) -> Result<u32, String> {
        let pool = built(&method, 2);
        let _running = pool.map_async(pass_gate, ["never".to_owned(), "never".to_owned()]);
        Err("left in the middle".to_owned())
    }
    let outer = pool(method, 2);
    for _ in 0..3 {
        let failed: Result<u32, _> = outer.apply(careless, (method.to_string(),));
        assert_eq!(failed.unwrap_err().kind(), TaskErrorKind::Failed);
    }
    assert_eq!(outer.map(partial(meet, ("after".to_owned(), 2)), 0..2).unwrap(), [0, 1], "its tokens are back");
    finish(outer);
}
