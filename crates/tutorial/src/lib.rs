//! The workloads of the five tutorials that teach Python's `multiprocessing`, each run in this process and by a gang, and compared.
//!
//! What runs is the library's examples, word for word (`examples`): what a newcomer copies is what is measured here.
//!
//! * `plan`: what is to be run, and how large it is. `run`: running it. `workloads`: the rows of each tutorial.
//! * `stage`: one row. `row`: what came of it. `scratch`: files for the time of a run.
//! * `table`: the rows as text. `timeline`: which worker ran what when, as a page.
//!
//! ```no_run
//! use ganger_tutorial::{Plan, Scratch, Size, Tutorial};
//!
//! let plan = Plan { tutorials: vec![Tutorial::T3], size: Size::Usual, workers: 2, record: true };
//! print!("{}", ganger_tutorial::header());
//! let report = ganger_tutorial::run(&plan, &Scratch::default(), |row| {
//!     print!("{}", ganger_tutorial::line(row));
//!     std::ops::ControlFlow::Continue(())
//! });
//! print!("{}", ganger_tutorial::footer(&report, plan.workers));
//! std::fs::write("timeline.html", ganger_tutorial::page(&report, plan.workers))?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod examples;
mod plan;
mod row;
mod run;
mod scratch;
mod stage;
mod table;
mod timeline;
mod workloads;

pub use plan::{Plan, Size, Tutorial};
pub use row::{Answer, Bar, Gang, Row};
pub use run::{Report, run};
pub use scratch::Scratch;
pub use table::{footer, header, line};
pub use timeline::page;
