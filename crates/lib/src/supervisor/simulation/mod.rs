//! A simulation of the supervisor's [`state`](super::state): thousands of runs with simulated workers that die, hang and
//! are slow at any instant, under guardians that die as well, each drawn from a seed and checked after every step.
//!
//! * [`world`]: the workers, each with a real claim word.
//! * [`driver`]: carries actions out as the real driver does.
//! * [`model`]: the reference, and which actions fit it; [`staff`]: of processes; [`size`]: of how many; [`limits`]: of stops and retries; [`ranks`]: of
//!   priorities; [`promises`]: what must hold between events.
//! * [`schedule`]: what happens in a run.
//!
//! `GANGER_TEST_SEEDS` sets how many seeds run, `GANGER_TEST_SEED` replays one and prints everything that happens.

mod driver;
mod limits;
mod model;
mod promises;
mod ranks;
mod schedule;
mod size;
mod staff;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What may be wrong with the world, to show that the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Workers run what they may not claim.
    IgnoresTheWord,
    /// A taking back that leaves the claim word as it was.
    LeavesTheLimit,
    /// Results that were read are read again.
    ReadsTwice,
    /// The driver forgets to send what was taken back.
    DropsWhatWasReturned,
    /// Deaths are judged before the last results are read.
    JudgesUnread,
    /// A death is reported with one claim less than there was.
    ForgetsAClaim,
    /// A death is reported with one claim more than there was.
    InventsAClaim,
    /// Outcomes are handed over twice.
    CompletesTwice,
    /// Deaths are not reported.
    OverlooksDeaths,
    /// The guardian's death is not reported.
    KeepsTheGuardiansDeath,
    /// What is to be tried again is not.
    ForgetsRetries,
    /// The clock that deadlines are measured with goes too fast.
    HurriesStops,
    /// What ended after it was asked to is handed over as if it had not been.
    SwallowsLate,
    /// What is to run alone gets company.
    KeepsCompany,
    /// The supervisor is not told of priorities.
    ForgetsPriorities,
    /// The supervisor is not told of the size that was asked for.
    ForgetsResizes,
}

/// How many seeds run when nobody says.
const SEEDS: u64 = 20_000;

/// How much of a failed run is shown.
const LAST: usize = 60;

/// What goes wrong with a seed, if anything; a panic of the state machine counts.
fn violation(seed: u64, fault: Fault, trace: &mut Option<Vec<String>>) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| schedule::run(seed, fault, trace)))
        .unwrap_or_else(|_| Some("the state machine panics".to_owned()))
}

/// The account of a run, and what goes wrong in it.
fn account(seed: u64) -> (Vec<String>, Option<String>) {
    let mut trace = Some(Vec::new());
    let violation = violation(seed, Fault::None, &mut trace);
    (trace.unwrap_or_default(), violation)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Runs every `step`-th seed from `first` on; the first that fails, and how.
fn first_failure(first: u64, step: usize, end: u64) -> Option<(u64, String)> {
    (first..end).step_by(step).find_map(|seed| violation(seed, Fault::None, &mut None).map(|text| (seed, text)))
}

#[test]
fn no_seed_breaks_a_promise() {
    if let Some(seed) = number("GANGER_TEST_SEED") {
        let (trace, violation) = account(seed);
        println!("{}", trace.join("\n"));
        return assert_eq!(violation, None, "seed {seed}");
    }
    let seeds = number("GANGER_TEST_SEEDS").unwrap_or(SEEDS);
    let failure = std::thread::scope(|scope| {
        let other = scope.spawn(|| first_failure(1, 2, seeds));
        let own = first_failure(0, 2, seeds);
        [own, other.join().expect("panics are caught")].into_iter().flatten().min()
    });
    if let Some((seed, text)) = failure {
        let trace = account(seed).0;
        let last = trace[trace.len().saturating_sub(LAST)..].join("\n");
        panic!("{last}\nseed {seed}: {text}\nreplay it with GANGER_TEST_SEED={seed}");
    }
}

#[test]
fn a_faulty_world_is_noticed() {
    let faults = [
        (Fault::IgnoresTheWord, "runs"),
        (Fault::LeavesTheLimit, "may run"),
        (Fault::ReadsTwice, "ends as Delivered"),
        (Fault::DropsWhatWasReturned, "left"),
        (Fault::JudgesUnread, "ends as Lost"),
        (Fault::ForgetsAClaim, "is sent"),
        (Fault::InventsAClaim, "ends as Lost"),
        (Fault::CompletesTwice, "completed twice"),
        (Fault::OverlooksDeaths, "left"),
        (Fault::KeepsTheGuardiansDeath, "workers are ready, but really"),
        (Fault::ForgetsRetries, "is sent"),
        (Fault::HurriesStops, "before its time"),
        (Fault::SwallowsLate, "ends as Delivered"),
        (Fault::KeepsCompany, "is to be alone"),
        (Fault::ForgetsPriorities, "of priority"),
        (Fault::ForgetsResizes, "given up"),
    ];
    for (fault, expected) in faults {
        let found = (0..300).filter_map(|seed| violation(seed, fault, &mut None)).collect::<Vec<_>>();
        println!("{fault:?}: {} of 300 seeds, such as: {:?}", found.len(), found.first());
        assert!(found.iter().any(|text| text.contains(expected)), "{fault:?} is not noticed: {found:?}");
    }
}

#[test]
fn runs_reach_everything_that_can_happen() {
    let happens = [
        "FeedClosed",
        "Terminated",
        "Resized(",
        "GuardianLost",
        "GuardianDied",
        "GuardianReady",
        "StartGuardian",
        "StartFailed",
        "StartPostponed",
        "WorkerExited",
        "TakenBack",
        "eager: false",
        "BeginEpoch",
        "Retire",
        "Kill",
        "Delivered",
        "ending: Lost",
        "ending: Deadly",
        "ending: Cancelled",
        "ending: Broken",
        "Break(Starts)",
        "Break(Unstable)",
        "Finish",
        "Stopped(",
        "Ask(",
        "Unask(",
        "Terminate(",
        "Retry {",
        "ending: Stopped(Timeout)",
        "ending: Stopped(Cancelled)",
        "ending: Late(Timeout)",
        "ending: Late(Cancelled)",
        "ending: Expired",
    ];
    let mut runs = happens.map(|name| (name, 0));
    for seed in 0..300 {
        let trace = account(seed).0.join("\n");
        for (_, count) in runs.iter_mut().filter(|(name, _)| trace.contains(*name)) {
            *count += 1;
        }
    }
    println!("of 300 runs: {runs:?}");
    assert!(runs.iter().all(|(_, count)| *count >= 15), "{runs:?}");
}
