//! Locks across processes. They live in [shared memory](crate::memory), and survive the death of anybody at any
//! instruction.
//!
//! What they are made of:
//! * [`identity`]: who holds something, in 64 bits, and whether that one lives.
//! * [`futex`]: sleeping until a word changes.
//! * [`held`]: a word that says who holds it, which others inherit when that one dies.
//! * [`bell`]: a word on which many wait for something to change.
//! * [`ground`]: the words that all of it is written for, in shared memory or in a model of it.
//! * [`latch`], [`holders`]: changing several words, and who holds how many.
//!
//! What is made of them: [`semaphore`], [`rwlock`], [`condition`], [`barrier`], [`event`]. A lock is one `held` word.
//!
//! **The rule of all of them**: each change takes effect by one store of one word, so that a process which dies before it
//! has changed nothing, and one that dies after it has changed all. What counts is always counted anew from such words. So
//! whoever gets a latch from a dead process need not repair anything. (A barrier's end needs several stores; there the first
//! one says what the others will be, and whoever comes next makes them.)

pub mod barrier;
pub mod bell;
pub mod condition;
pub mod event;
pub mod futex;
pub mod ground;
pub mod held;
pub mod holders;
pub mod identity;
pub mod latch;
pub mod rwlock;
pub mod semaphore;

#[cfg(test)]
mod model;
