//! The flags of `ganger map`, one table: parser, environment, help and `ganger config` are made from it.

/// Describes one flag and its environment twin.
#[derive(Debug)]
pub(crate) struct Flag {
    /// The long name, which is also the setting's name.
    pub(crate) name: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) kind: Kind,
    /// What holds without flag and variable; empty for "not set".
    pub(crate) default: &'static str,
    pub(crate) section: &'static str,
    pub(crate) help: &'static str,
}

/// Says what a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing; its twin takes 1, 0, true or false.
    Switch,
    /// One value, called so in the help.
    Value(&'static str),
    /// One value, or none, which means `bare`.
    Optional { name: &'static str, bare: &'static str },
    /// One value each time it is given; its twin takes a JSON array of strings.
    List(&'static str),
    /// Values without commas, several at once between commas; its twin takes them so as well.
    Commas(&'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Flag {
    /// Returns the name of the environment twin.
    pub(crate) fn variable(&self) -> String {
        format!("GANGER_{}", self.name.to_uppercase().replace('-', "_"))
    }
}

/// Finds a flag of the table.
pub(crate) fn flag(name: &str) -> &'static Flag {
    FLAGS.iter().find(|flag| flag.name == name).expect("only names of the table are asked for")
}

const INPUT: &str = "Input";
const OUTPUT: &str = "Output";
const DATABASE: &str = "Database";
const RUN: &str = "Run";
const LIMITS: &str = "Limits";

const fn flag_of(name: &'static str, kind: Kind, section: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, kind, default: "", section, help }
}

const fn choice(name: &'static str, words: &'static [&'static str], section: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, kind: Kind::Choice(words), default: words[0], section, help }
}

/// Holds every flag of `ganger map`, in the order of the help. The first word of a choice is its default.
pub(crate) const FLAGS: &[Flag] = &[
    flag_of("input", Kind::List("FILE"), INPUT, "Read records from FILE, - for standard input; the default"),
    choice(
        "format",
        &["auto", "lines", "csv", "tsv", "jsonl"],
        INPUT,
        "How records are written; auto goes by the file's extension (.csv .tsv .jsonl .ndjson, else lines) and takes standard input as lines",
    ),
    flag_of(
        "columns",
        Kind::Value("A,B,C"),
        INPUT,
        "Use only these columns, by name or 1-based number; keys of JSON objects",
    ),
    flag_of("no-header", Kind::Switch, INPUT, "The first row of a CSV or TSV file is a record, not the columns' names"),
    flag_of("delimiter", Kind::Value("C"), INPUT, "The ASCII character between CSV cells; \\t for a tab"),
    Flag {
        short: Some('0'),
        ..flag_of("null", Kind::Switch, INPUT, "Lines end with a NUL byte, as from find -print0")
    },
    flag_of("missing", Kind::List("TEXT"), INPUT, "A cell or line that is exactly TEXT is missing (null)"),
    choice(
        "short-rows",
        &["error", "skip"],
        INPUT,
        "What happens to a CSV row with too few cells; the summary counts skipped rows",
    ),
    flag_of("arg", Kind::List("NAME=VALUE"), INPUT, "Fix an argument of the task for all records"),
    flag_of("output", Kind::Value("FILE"), OUTPUT, "Write results to FILE, - for standard output; the default"),
    choice(
        "output-format",
        &["jsonl", "csv", "tsv", "raw", "records"],
        OUTPUT,
        "How results are written: JSON values; rows under a header (tsv writes tab, line feed, carriage return and backslash as \\t \\n \\r \\\\); strings bare (one with line feeds takes several lines); objects with index, file, line and value or error",
    ),
    flag_of("keep", Kind::Value("A,B,C|all"), OUTPUT, "Copy these input columns beside the result"),
    flag_of("unordered", Kind::Switch, OUTPUT, "Write results as they come, not in input order"),
    flag_of(
        "db",
        Kind::Value("URL"),
        DATABASE,
        "The database of --input-sql, --claim and --output-sql: sqlite:PATH, or postgres://USER@HOST/DATABASE with ?sslmode=disable, prefer, require or verify-full; a password is better left to GANGER_DB or PGPASSWORD, since others can see command lines",
    ),
    flag_of(
        "input-sql",
        Kind::Value("SELECT"),
        DATABASE,
        "Take the rows of this query as records, bound to arguments by the names of their columns; NULL is missing",
    ),
    flag_of(
        "claim",
        Kind::Value("TABLE"),
        DATABASE,
        "Take rows of TABLE in PostgreSQL as records, shared with all others that claim from it, on this machine and others: each is held by a lease while it runs, and marked as done with its result in --output-sql; TABLE needs the columns claimed_by, claimed_until, attempts, done_at and dead, and what adds them is said where they are missing",
    ),
    Flag {
        default: "60s",
        ..flag_of(
            "lease",
            Kind::Value("TIME"),
            DATABASE,
            "With --claim, others may take a row whose holder was not heard of for so long, 1s at least; a holder is heard of every third of it, however long its tasks run",
        )
    },
    Flag {
        default: "3",
        ..flag_of(
            "attempts",
            Kind::Value("N"),
            DATABASE,
            "With --claim, give up a row that was claimed N times and is not done: its column dead says why; to try again, set dead to NULL and attempts to 0; failures do not end the run unless --on-error stop is given",
        )
    },
    flag_of(
        "output-sql",
        Kind::Value("TABLE"),
        DATABASE,
        "Add each result to TABLE as a row with the key of its record: as the column result if there is one, else its fields as the columns of their names; records whose key is there already are not run, so a run can be repeated after a crash",
    ),
    flag_of(
        "key",
        Kind::Value("COLUMN"),
        DATABASE,
        "With --output-sql, the column of the query, or of the table of --claim, and of TABLE that tells records apart; it must be unique in TABLE",
    ),
    Flag {
        short: Some('j'),
        default: "100%",
        ..flag_of("workers", Kind::Value("N|N%|-N"), RUN, "Run N workers, N percent of the processors, or all but N")
    },
    flag_of(
        "serial",
        Kind::Switch,
        RUN,
        "Run in this process, without workers; a task that exits, is killed or hangs takes the run with it",
    ),
    choice("start-method", &["forkserver", "spawn", "fork"], RUN, "How workers are started"),
    Flag {
        default: "auto",
        ..flag_of("chunksize", Kind::Value("N|auto"), RUN, "Send records in batches of N; auto measures")
    },
    flag_of("max-tasks-per-worker", Kind::Value("N"), RUN, "Replace a worker after N tasks"),
    flag_of("seed", Kind::Value("N"), RUN, "Seed the tasks' random numbers, so that the run can be repeated"),
    choice(
        "on-error",
        &["stop", "report"],
        RUN,
        "Stop at the first failure with exit code 3 (65 for a bad record), or report each, write null in its place, and exit with 1",
    ),
    flag_of(
        "fail-after",
        Kind::Value("N"),
        RUN,
        "Report failures, and stop with exit code 3 when N records have failed",
    ),
    flag_of(
        "timeout",
        Kind::Value("TIME"),
        LIMITS,
        "End a task that runs for longer (250ms, 10s, 1.5m, 2h; a bare number is seconds)",
    ),
    flag_of("queue-timeout", Kind::Value("TIME"), LIMITS, "Fail a task that has been waiting for a worker for longer"),
    flag_of(
        "grace",
        Kind::Value("TIME"),
        LIMITS,
        "Kill what has not ended so long after it was told to; without it 1s for a task whose --timeout is over, and 10s after SIGTERM or SIGHUP",
    ),
    flag_of("retries", Kind::Value("N"), LIMITS, "Try a task that failed again, at most N times"),
    flag_of(
        "backoff",
        Kind::Value("TIME..TIME"),
        LIMITS,
        "With --retries, wait so long before the first, twice as long before each further one, up to the second time; without it 100ms..10s",
    ),
    flag_of(
        "retry-on",
        Kind::Value("A,B,C"),
        LIMITS,
        "With --retries, try again after these failures: panic, crash, timeout, error; without it all but error",
    ),
    flag_of(
        "memory",
        Kind::Value("SIZE"),
        LIMITS,
        "Kill a worker that holds more than SIZE beyond what it started with (512M, 1GiB; a bare number is bytes)",
    ),
    flag_of("memory-soft", Kind::Value("SIZE"), LIMITS, "Replace a worker that holds more, after its task"),
    flag_of(
        "capture",
        Kind::Value("SIZE"),
        RUN,
        "Keep what each task prints together, SIZE of each stream at most, and put it into the error records of --output-format records",
    ),
    flag_of(
        "rlimit",
        Kind::Commas("NAME=VALUE"),
        LIMITS,
        "Limit a resource of each worker process as setrlimit does: as, core, cpu, data, fsize, memlock, nofile, nproc, stack; a size (512M, 1GiB), seconds, a count, or unlimited; SOFT:HARD for two limits (nofile=256,cpu=60:70)",
    ),
    flag_of(
        "nice",
        Kind::Value("N"),
        LIMITS,
        "Run workers with niceness N, from -20 (they go first) to 19 (they go last)",
    ),
    Flag {
        default: "none",
        ..flag_of(
            "pin",
            Kind::Optional { name: "auto|none|LIST", bare: "auto" },
            LIMITS,
            "Keep each worker on one processor: of all that there are, or of LIST (0,2-3); --pin alone is auto",
        )
    },
    flag_of(
        "cgroup",
        Kind::Switch,
        LIMITS,
        "Run workers in a control group of their own, so that nothing they start outlives them; `doctor` tells whether that is allowed",
    ),
    choice(
        "progress",
        &["auto", "bar", "plain", "none"],
        RUN,
        "Show a bar, or a line every 5 seconds; auto is a bar when standard error is a terminal and results go elsewhere",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_flag_is_named_once_and_explained() {
        let mut names = BTreeSet::new();
        let mut variables = BTreeSet::new();
        let mut shorts = BTreeSet::new();
        for flag in FLAGS {
            assert!(names.insert(flag.name), "{}", flag.name);
            assert!(variables.insert(flag.variable()), "{}", flag.name);
            assert!(flag.short.is_none_or(|short| shorts.insert(short)), "{}", flag.name);
            assert!(flag.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", flag.name);
            assert!(flag.variable().chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{}", flag.variable());
            assert!(flag.help.len() > 10 && !flag.help.ends_with('.'), "{}", flag.name);
        }
    }

    #[test]
    fn defaults_are_of_their_kind() {
        for flag in FLAGS {
            match flag.kind {
                Kind::Switch | Kind::List(_) | Kind::Commas(_) => assert_eq!(flag.default, "", "{}", flag.name),
                Kind::Choice(words) => assert!(words.contains(&flag.default), "{}", flag.name),
                Kind::Value(_) | Kind::Optional { .. } => {}
            }
        }
    }
}
