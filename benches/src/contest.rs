//! Contestants that do the same work in turns, and have to come to the same answer.

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::stats::Series;
use crate::table::{Bound, Line};

/// One turn of one contestant.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Turn<A> {
    /// How long it took, and what came out.
    Ran { seconds: f64, answer: A },
    /// Why it cannot be done here.
    Skipped { skip: String },
}

impl<A> Turn<A> {
    /// One of so many times that were measured together.
    pub(crate) fn each_of(self, times: u32) -> Self {
        match self {
            Self::Ran { seconds, answer } => Self::Ran { seconds: seconds / f64::from(times), answer },
            skipped @ Self::Skipped { .. } => skipped,
        }
    }
}

/// Does `work` with the clock running, and makes the answer of what came out afterwards.
pub(crate) fn timed<T, E: Display, A>(
    work: impl FnOnce() -> std::result::Result<T, E>,
    answer: impl FnOnce(T) -> A,
) -> Result<Turn<A>> {
    let start = Instant::now();
    let value = work();
    let seconds = start.elapsed().as_secs_f64();
    let value = value.map_err(|error| error.to_string())?;
    Ok(Turn::Ran { seconds, answer: answer(value) })
}

/// Who takes part.
pub(crate) struct Contestant<'a, A> {
    name: String,
    turn: Box<dyn FnMut() -> Result<Turn<A>> + 'a>,
}

impl<'a, A> Contestant<'a, A> {
    pub(crate) fn new(name: impl Into<String>, turn: impl FnMut() -> Result<Turn<A>> + 'a) -> Self {
        Self { name: name.into(), turn: Box::new(turn) }
    }
}

/// What came of it, once the contest is over.
#[derive(Clone, Debug)]
pub(crate) struct Score {
    pub(crate) runs: Series,
    skipped: Option<String>,
}

impl Score {
    /// A line of the table: how many times as long `theirs` take as `ours`.
    pub(crate) fn line(what: &str, ours: &Self, theirs: &Self, bound: Bound) -> Line {
        match [ours, theirs].into_iter().find_map(|score| score.skipped.as_ref()) {
            Some(why) => Line::without_ratio(what, &ours.runs, format!("SKIP: {why}"), bound),
            None => Line::new(what, &ours.runs, &theirs.runs, theirs.runs.median() / ours.runs.median(), bound),
        }
    }

    /// The other way round: `ours` as a multiple of `theirs`.
    pub(crate) fn part_line(what: &str, ours: &Self, theirs: &Self, bound: Bound) -> Line {
        Line::new(what, &ours.runs, &theirs.runs, ours.runs.median() / theirs.runs.median(), bound)
    }
}

/// Lets all have their turns in each of so many rounds, after one that warms up and does not count. Times are kept in `unit`.
/// An answer that differs from the first one is an error.
pub(crate) fn contest<A: PartialEq + Debug, const N: usize>(
    unit: &'static str,
    rounds: u32,
    mut contestants: [Contestant<'_, A>; N],
) -> Result<[Score; N]> {
    let mut scores =
        contestants.each_ref().map(|one| Score { runs: Series::new(one.name.as_str(), unit), skipped: None });
    let mut expected = None;
    for round in 0..=rounds {
        for (contestant, score) in contestants.iter_mut().zip(&mut scores) {
            let told = (contestant.turn)().map_err(|error| format!("{}: {error}", contestant.name))?;
            let (seconds, answer) = match told {
                Turn::Ran { seconds, answer } => (seconds, answer),
                Turn::Skipped { skip } => {
                    score.skipped = Some(skip);
                    continue;
                }
            };
            match &expected {
                None => expected = Some(answer),
                Some(expected) if *expected == answer => {}
                Some(expected) => {
                    return Err(format!("{} answers {answer:?}, others {expected:?}", contestant.name).into());
                }
            }
            if round > 0 {
                score.runs.push_time(Duration::from_secs_f64(seconds));
            }
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(seconds: f64, answer: u32) -> Result<Turn<u32>> {
        Ok(Turn::Ran { seconds, answer })
    }

    #[test]
    fn the_first_round_does_not_count() {
        let mut times = [9.0, 1.0, 2.0].into_iter();
        let one = Contestant::new("one", move || ran(times.next().expect("three rounds"), 7));
        let [one] = contest("s", 2, [one]).expect("there is nobody to disagree");
        assert_eq!(one.runs.median(), 1.5);
    }

    #[test]
    fn another_answer_is_an_error_with_its_name() {
        let told = contest("s", 1, [Contestant::new("one", || ran(1.0, 7)), Contestant::new("two", || ran(1.0, 8))]);
        assert_eq!(told.expect_err("8 is not 7").to_string(), "two answers 8, others 7");
    }

    #[test]
    fn who_does_not_take_part_says_why() {
        let skips = Contestant::new("two", || Ok(Turn::Skipped { skip: "no numpy".to_owned() }));
        let [one, two] = contest("s", 1, [Contestant::new("one", || ran(1.0, 7)), skips]).expect("7 is 7");
        let line = Score::line("two / one", &one, &two, Bound::AtLeast(2.0));
        let line = serde_json::to_value(line).expect("a line is plain data");
        assert_eq!((line["reference"].as_str(), line["ratio"].as_f64()), (Some("SKIP: no numpy"), None));
    }

    #[test]
    fn answers_of_python_are_turns() {
        let told = serde_json::from_str(r#"{"seconds": 0.5, "answer": 3}"#).expect("a turn");
        assert!(matches!(told, Turn::Ran { seconds: 0.5, answer: 3 }));
        let told: Turn<u32> = serde_json::from_str(r#"{"skip": "no numpy"}"#).expect("a turn");
        assert!(matches!(told, Turn::Skipped { skip } if skip == "no numpy"));
    }
}
