//! A task that fails, by whatever means, fails alone, with its cause. Ways to die are in the fault matrix.

use std::time::Duration;

use ganger::{Pool, StartMethod, TaskError, TaskErrorKind};
use nix::sys::signal::Signal;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kit::{SOON, die, finish, pool, square, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    killed_task_fails_alone_and_is_named,
    panic_brings_message_location_and_backtrace,
    failure_is_a_text,
    arguments_that_cannot_be_serialized_fail_alone,
    arguments_that_cannot_be_deserialized_fail_alone,
    results_that_cannot_be_serialized_fail_alone,
    results_that_cannot_be_deserialized_fail_alone,
    bound_arguments_that_cannot_be_serialized_fail_every_task,
    death_during_serialization_is_an_outcome,
];

/// Answers a normal task.
#[track_caller]
fn still_works(pool: &Pool) {
    assert_eq!(pool.map(square, 0..100).unwrap(), (0..100).map(square).collect::<Vec<_>>());
}

fn kill_at_two(x: i64) -> i64 {
    if x == 2 {
        die(Signal::SIGKILL);
    }
    std::thread::sleep(Duration::from_millis(20));
    x
}

fn killed_task_fails_alone_and_is_named(method: StartMethod) {
    let pool = pool(method, 4);
    let workers = whole_gang(&pool, 4);
    let outcomes = pool.try_map(kill_at_two, 0..4);
    for (index, outcome) in outcomes.iter().enumerate().filter(|(index, _)| *index != 2) {
        assert_eq!(outcome.as_ref().unwrap(), &(index as i64));
    }
    let error = outcomes[2].as_ref().unwrap_err();
    assert_eq!((error.kind(), error.index(), error.attempt()), (TaskErrorKind::Killed(9), 2, 1));
    assert!(error.worker().unwrap() < 4, "{error:?}");
    assert!(workers.contains(&error.pid().unwrap()), "{error:?}");
    let text = error.to_string();
    for part in ["task 2", "kill_at_two", "SIGKILL", "worker", "pid"] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    still_works(&pool);
    finish(pool);
}

fn panic_with(reason: String) -> u32 {
    panic!("because of {reason}")
}

fn panic_brings_message_location_and_backtrace(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = pool.worker_pids();
    let error = pool.apply(panic_with, ("weather".to_owned(),)).unwrap_err();
    assert_eq!((error.kind(), error.message()), (TaskErrorKind::Panicked, "because of weather"));
    assert!(error.location().unwrap().contains("failures.rs:"), "{error:?}");
    assert!(error.backtrace().unwrap().contains("panic_with"), "{error:?}");
    assert!(error.duration().unwrap() < SOON);
    let error = pool
        .apply(
            |x: u32| {
                if x < 9 {
                    std::panic::panic_any(x)
                };
                x
            },
            (1,),
        )
        .unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Panicked);
    still_works(&pool);
    assert_eq!(pool.worker_pids(), worker, "a panic costs no worker");
    finish(pool);
}

#[derive(Debug)]
struct OwnError(u32);

impl std::fmt::Display for OwnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "own error {}", self.0)
    }
}

fn failure_is_a_text(method: StartMethod) {
    fn refuse(x: u32) -> Result<u32, OwnError> {
        if x == 0 { Ok(0) } else { Err(OwnError(x)) }
    }
    let pool = pool(method, 1);
    let outcome: Result<u32, TaskError> = pool.apply(refuse, (7,));
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.message()), (TaskErrorKind::Failed, "own error 7"));
    let outcome: Result<u32, TaskError> = pool.apply(refuse, (0,));
    assert_eq!(outcome.unwrap(), 0);
    finish(pool);
}

/// A value that fails where it is told to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Touchy {
    Fine,
    FailsToSerialize,
    PanicsInSerialize,
    DiesInSerialize,
    FailsToDeserialize,
    PanicsInDeserialize,
    DiesInDeserialize,
}

use Touchy::*;

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FailsToSerialize => return Err(S::Error::custom("not this one")),
            PanicsInSerialize => panic!("not this one"),
            DiesInSerialize => die(Signal::SIGKILL),
            _ => {}
        }
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            number if number == FailsToDeserialize as u8 => Err(D::Error::custom("not that one")),
            number if number == PanicsInDeserialize as u8 => panic!("not that one"),
            number if number == DiesInDeserialize as u8 => die(Signal::SIGSEGV),
            _ => Ok(Fine),
        }
    }
}

fn take(_: Touchy) -> u32 {
    1
}

/// Gives a value that is touchy in the given way.
fn give(way: u8) -> Touchy {
    let ways = [Fine, FailsToSerialize, PanicsInSerialize, DiesInSerialize, FailsToDeserialize, PanicsInDeserialize];
    ways[usize::from(way)]
}

/// Item 50 of 101 fails with `kind` and a message that has `text`; the others do not.
#[track_caller]
fn only_the_middle_fails<R: std::fmt::Debug>(outcomes: &[Result<R, TaskError>], kind: TaskErrorKind, text: &str) {
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(outcomes.len(), 101);
    assert!(failed.len() == 1 && failed[0].index() == 50, "{failed:?}");
    assert_eq!(failed[0].kind(), kind, "{}", failed[0]);
    assert!(failed[0].message().contains(text), "{:?} says nothing of {text:?}", failed[0].message());
}

fn with_middle<T: Copy>(usual: T, middle: T) -> impl Iterator<Item = T> {
    (0..101).map(move |index| if index == 50 { middle } else { usual })
}

fn arguments_that_cannot_be_serialized_fail_alone(method: StartMethod) {
    let pool = pool(method, 2);
    for way in [FailsToSerialize, PanicsInSerialize] {
        let outcomes = pool.try_map(take, with_middle(Fine, way));
        only_the_middle_fails(&outcomes, TaskErrorKind::NotSerializable, "not this one");
        let error = pool.apply(take, (way,)).unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::NotSerializable);
        let lazy: Vec<_> = pool.imap(take, with_middle(Fine, way).collect::<Vec<_>>()).collect();
        only_the_middle_fails(&lazy, TaskErrorKind::NotSerializable, "not this one");
    }
    still_works(&pool);
    finish(pool);
}

fn arguments_that_cannot_be_deserialized_fail_alone(method: StartMethod) {
    let pool = pool(method, 2);
    let outcomes = pool.try_map(take, with_middle(Fine, FailsToDeserialize));
    only_the_middle_fails(&outcomes, TaskErrorKind::NotDeserializable, "not that one");
    let outcomes = pool.try_map(take, with_middle(Fine, PanicsInDeserialize));
    only_the_middle_fails(&outcomes, TaskErrorKind::Panicked, "not that one");
    still_works(&pool);
    finish(pool);
}

fn results_that_cannot_be_serialized_fail_alone(method: StartMethod) {
    let pool = pool(method, 2);
    let outcomes = pool.try_map(give, with_middle(0, FailsToSerialize as u8));
    only_the_middle_fails(&outcomes, TaskErrorKind::NotSerializable, "not this one");
    let error = outcomes[50].as_ref().unwrap_err();
    assert!(error.message().contains("Touchy"), "the type is named: {error}");
    let outcomes = pool.try_map(give, with_middle(0, PanicsInSerialize as u8));
    only_the_middle_fails(&outcomes, TaskErrorKind::Panicked, "not this one");
    still_works(&pool);
    finish(pool);
}

fn results_that_cannot_be_deserialized_fail_alone(method: StartMethod) {
    let pool = pool(method, 2);
    for way in [FailsToDeserialize, PanicsInDeserialize] {
        let outcomes = pool.try_map(give, with_middle(0, way as u8));
        only_the_middle_fails(&outcomes, TaskErrorKind::NotDeserializable, "not that one");
        let handle = pool.map_async(give, with_middle(0, way as u8));
        assert_eq!(handle.get().unwrap_err().kind(), TaskErrorKind::NotDeserializable);
        let lazy: Vec<_> = pool.imap(give, with_middle(0, way as u8).collect::<Vec<_>>()).collect();
        only_the_middle_fails(&lazy, TaskErrorKind::NotDeserializable, "not that one");
        still_works(&pool);
    }
    finish(pool);
}

fn bound_arguments_that_cannot_be_serialized_fail_every_task(method: StartMethod) {
    fn second(_: Touchy, x: i64) -> i64 {
        x
    }
    let pool = pool(method, 1);
    let outcomes = pool.try_map(ganger::partial(second, (FailsToSerialize,)), 0..3);
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::NotSerializable);
    }
    let error = pool.map(ganger::partial(second, (FailsToDeserialize,)), 0..3).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotDeserializable);
    still_works(&pool);
    finish(pool);
}

fn death_during_serialization_is_an_outcome(method: StartMethod) {
    let pool = pool(method, 2);
    let outcomes = pool.try_map(give, with_middle(0, DiesInSerialize as u8));
    only_the_middle_fails(&outcomes, TaskErrorKind::Killed(9), "SIGKILL");
    let outcomes = pool.try_map(take, with_middle(Fine, DiesInDeserialize));
    only_the_middle_fails(&outcomes, TaskErrorKind::Killed(11), "SIGSEGV");
    still_works(&pool);
    finish(pool);
}
