//! What is to be run, and how large it is.

use std::fmt;
use std::str::FromStr;

/// One of the five tutorials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tutorial {
    /// Rows of a file become a graph.
    T1,
    /// Numbers within a range, cubes, a data frame.
    T2,
    /// Squares, files, processes and a queue.
    T3,
    /// Sums in a manager's dictionary.
    T4,
    /// Images, texts, an array that is filled in place.
    T5,
}

/// How large the workloads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// Small enough for a test: about a second.
    Quick,
    /// What the tutorials have, as far as that is a matter of seconds.
    #[default]
    Usual,
    /// The largest that the tutorials have: minutes.
    Full,
}

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// These tutorials, in this order.
    pub tutorials: Vec<Tutorial>,
    /// How large their workloads are.
    pub size: Size,
    /// How many workers a pool has where the tutorial does not say.
    pub workers: usize,
    /// Whether it is recorded when workers ran what, for [`page`](crate::page).
    pub record: bool,
}

impl Tutorial {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::T1, Self::T2, Self::T3, Self::T4, Self::T5];

    /// Its name, such as `T1`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::T1 => "T1",
            Self::T2 => "T2",
            Self::T3 => "T3",
            Self::T4 => "T4",
            Self::T5 => "T5",
        }
    }

    /// What it is about, in some words.
    #[must_use]
    pub fn subject(self) -> &'static str {
        match self {
            Self::T1 => "a graph of transactions",
            Self::T2 => "numbers in a range, cubes, a data frame",
            Self::T3 => "squares, files, processes and a queue",
            Self::T4 => "sums in a manager's dictionary",
            Self::T5 => "images, texts, an array filled in place",
        }
    }
}

impl fmt::Display for Tutorial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tutorial {
    type Err = String;

    /// # Errors
    /// The name is none of `T1` to `T5`, in either case.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|tutorial| tutorial.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let names: Vec<String> = Self::ALL.iter().map(|it| format!("{it} ({})", it.subject())).collect();
            format!("there is no tutorial {text:?}, but {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_either_case() {
        for tutorial in Tutorial::ALL {
            assert_eq!(tutorial.to_string().parse(), Ok(tutorial));
            assert_eq!(tutorial.as_str().to_lowercase().parse(), Ok(tutorial));
        }
        for text in ["T6", "", "T", "1", "T1 "] {
            let problem = text.parse::<Tutorial>().unwrap_err();
            assert!(problem.contains(&format!("{text:?}, but T1 (a graph")) && problem.contains("T5 ("), "{problem}");
        }
    }
}
