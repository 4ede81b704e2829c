//! The supervisor: a pure state machine that decides, and a driver that carries out.
//!
//! * [`event`]: what happens ([`Event`](event::Event), past tense) and what to do about it ([`Action`](event::Action),
//!   imperative).
//! * [`state`]: `handle(now, event) -> actions`. No clock, no descriptor, no thread: everything hard is tested there.
//!   [`dispatch`] and [`policy`]: who gets which tasks, and how many at once; [`staffing`] and [`succession`]: starting and
//!   replacing workers, and the guardian; [`resize`], [`idle`] and [`allowance`]: how many there are to be, and how many may have tasks;
//!   [`stops`] and [`retries`]: ending what runs, and trying again.
//! * [`core`]: the state, and what the actions act upon; one lock around it.
//! * [`link`]: the supervisor's end of one worker; [`sending`] and [`receiving`]: what passes through it; [`flush`]: when it is written; [`deaths`]: reading and judging; [`complete`]: outcomes;
//!   [`health`]: workers that get nowhere; [`guardian`]: its death and its successor.
//! * [`budget`]: what a pool and those that its tasks build may run together.
//! * [`output`]: whose output it is, when that is captured. [`farewells`]: what exit hooks have made. [`outfit`]: what all workers are given.
//! * [`inspect`]: what the workers are doing, for people. [`ledger`]: where the time went; [`timeline`]: who ran what when.
//! * [`driver`]: the thread that waits for descriptors and deadlines and turns them into events; [`guest`]: a caller of
//!   `apply` that does so for as long as it waits anyway; [`awake`]: waiting for what comes soon.

mod allowance;
mod awake;
pub(crate) mod budget;
mod complete;
pub(crate) mod core;
mod deaths;
mod dispatch;
mod doubt;
pub(crate) mod driver;
pub(crate) mod event;
pub(crate) mod farewells;
mod flush;
mod guardian;
pub(crate) mod guest;
pub(crate) mod haul;
mod health;
mod idle;
mod inspect;
mod ledger;
mod link;
pub(crate) mod memory;
pub(crate) mod outfit;
pub(crate) mod output;
mod policy;
mod queue;
mod receiving;
mod resize;
mod retries;
mod seat;
mod seats;
mod sending;
mod shortage;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod situations;
#[cfg(test)]
mod situations_of_limits;
#[cfg(test)]
mod situations_of_size;
pub(crate) mod staffing;
pub(crate) mod state;
mod stops;
mod succession;
mod timeline;
mod token;
