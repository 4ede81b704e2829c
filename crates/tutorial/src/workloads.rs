//! The rows of each tutorial.

mod t1;
mod t2;
mod t3;
mod t4;
mod t5;

use crate::plan::Tutorial;
use crate::stage::{Fallible, Stage};

/// Runs all rows of the stage's tutorial. An error is about what all of them need.
pub(crate) fn run(stage: &mut Stage<'_>) -> Fallible<()> {
    match stage.tutorial {
        Tutorial::T1 => t1::run(stage),
        Tutorial::T2 => t2::run(stage),
        Tutorial::T3 => t3::run(stage),
        Tutorial::T4 => t4::run(stage),
        Tutorial::T5 => t5::run(stage),
    }
}
