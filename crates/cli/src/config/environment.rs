//! Warns of variables that look like settings and are none.

use crate::flags::FLAGS;
use crate::nearest::suggestion;
use crate::{log, say};

/// These belong to tasks, tests and running commands; nobody sets them by mistake.
const RESERVED: [&str; 3] = ["GANGER_TEST_", "GANGER_TASK_", "GANGER_RUN_"];
/// Tells a process that ganger starts what it is.
const BOOT: &str = "GANGER_BOOT";

/// Writes one warning for each unknown `GANGER_*` variable of this process.
pub(crate) fn warn_about_unknown() {
    let mut names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort();
    for warning in names.iter().filter_map(|name| warning(name)) {
        say::say_escaped(&warning);
    }
}

fn warning(name: &str) -> Option<String> {
    if !name.starts_with("GANGER_") || RESERVED.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let known = known();
    let known = known.iter().map(String::as_str);
    if known.clone().any(|variable| variable == name) {
        return None;
    }
    Some(format!("warning: unknown environment variable {name}{}", suggestion(name, known)))
}

fn known() -> Vec<String> {
    let mut known: Vec<String> = FLAGS.iter().map(crate::flags::Flag::variable).collect();
    known.extend([log::FILTER, log::FORMAT, BOOT].map(str::to_owned));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unknown_names_are_warned_about() {
        for flag in FLAGS {
            assert_eq!(warning(&flag.variable()), None);
        }
        for name in [
            "PATH",
            "GANGER_LOG",
            "GANGER_LOG_FORMAT",
            "GANGER_BOOT",
            "GANGER_TEST_X",
            "GANGER_TASK_KEY",
            "GANGER_RUN_ID",
        ] {
            assert_eq!(warning(name), None, "{name}");
        }
        for (name, end) in [
            ("GANGER_WORKER", "GANGER_WORKER; did you mean \"GANGER_WORKERS\"?"),
            ("GANGER_STARTMETHOD", "GANGER_STARTMETHOD; did you mean \"GANGER_START_METHOD\"?"),
            ("GANGER_LOGS", "GANGER_LOGS; did you mean \"GANGER_LOG\"?"),
            ("GANGER_COMPLETELY_ELSE", "GANGER_COMPLETELY_ELSE"),
        ] {
            let text = warning(name).unwrap();
            assert!(text.ends_with(end), "{text}");
        }
    }
}
