//! Turns the text of settings into typed options.

use super::attributes::Attributes;
use super::database::Database;
use super::limits::{LIMITS_OF_WORKERS, Limits};
use super::settings::Settings;
use super::workers::Workers;
use crate::exit::Abort;
use crate::input::split_list;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;

/// Holds all options of `ganger map`.
#[derive(Debug)]
pub(crate) struct MapOptions {
    pub(crate) input: InputOptions,
    /// Arguments that `--arg` fixes, as written.
    pub(crate) fixed: Vec<(String, String)>,
    pub(crate) output: OutputOptions,
    pub(crate) run: RunOptions,
    pub(crate) database: Option<Database>,
}

#[derive(Debug, Clone)]
pub(crate) struct InputOptions {
    /// Names of files; `-` is standard input.
    pub(crate) files: Vec<String>,
    pub(crate) format: FormatChoice,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) header: bool,
    pub(crate) delimiter: Option<u8>,
    pub(crate) null: bool,
    pub(crate) missing: Vec<String>,
    pub(crate) short_rows: ShortRows,
    /// Flags of this command line that mean something for CSV and TSV only.
    pub(crate) csv_only: Vec<&'static str>,
}

#[derive(Debug)]
pub(crate) struct OutputOptions {
    /// The name of a file; `None` is standard output.
    pub(crate) file: Option<String>,
    pub(crate) format: OutputFormat,
    pub(crate) keep: Keep,
}

#[derive(Debug)]
pub(crate) struct RunOptions {
    pub(crate) unordered: bool,
    pub(crate) workers: Workers,
    pub(crate) serial: bool,
    pub(crate) start_method: StartMethod,
    /// `None` measures.
    pub(crate) chunksize: Option<NonZeroU64>,
    pub(crate) max_tasks_per_worker: Option<NonZeroU64>,
    pub(crate) seed: Option<u64>,
    pub(crate) on_error: OnError,
    /// After so many failures the run is stopped.
    pub(crate) fail_after: Option<NonZeroU64>,
    pub(crate) limits: Limits,
    pub(crate) attributes: Attributes,
    pub(crate) progress: ProgressChoice,
}

/// Says which gang does the work.
#[derive(Debug)]
pub(crate) struct GangOptions {
    pub(crate) workers: Workers,
    pub(crate) start_method: StartMethod,
}

/// Says which columns are copied beside the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    All,
    Columns(Vec<String>),
}

/// Names the values of a choice flag.
trait Choice: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),+ }

        impl Choice for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
        }
    };
}

choice!(
    /// How records are written, or that the file's name tells.
    FormatChoice { Auto = "auto", Lines = "lines", Csv = "csv", Tsv = "tsv", Jsonl = "jsonl" }
);
choice!(
    /// What happens to a row with too few cells.
    ShortRows { Error = "error", Skip = "skip" }
);
choice!(
    /// How results are written.
    OutputFormat { Jsonl = "jsonl", Csv = "csv", Tsv = "tsv", Raw = "raw", Records = "records" }
);
choice!(
    /// How workers are started.
    StartMethod { Forkserver = "forkserver", Spawn = "spawn", Fork = "fork" }
);
choice!(
    /// What happens at a failure.
    OnError { Stop = "stop", Report = "report" }
);
choice!(
    /// How progress is shown.
    ProgressChoice { Auto = "auto", Bar = "bar", Plain = "plain", None = "none" }
);

impl MapOptions {
    /// Reads the settings.
    pub(crate) fn parse(settings: &Settings) -> Result<Self, Abort> {
        Ok(Self {
            input: input_options(settings)?,
            fixed: fixed_arguments(settings)?,
            output: output_options(settings)?,
            run: run_options(settings)?,
            database: Database::parse(settings)?,
        })
    }
}

fn input_options(settings: &Settings) -> Result<InputOptions, Abort> {
    if let Some(name) = ["input", "output"].into_iter().find(|name| settings.list(name).iter().any(String::is_empty)) {
        return Err(settings.wrong(name, "\"\" is no name of a file; - is standard input or output"));
    }
    let files = match settings.list("input") {
        [] => vec!["-".to_owned()],
        files => files.to_vec(),
    };
    let format = choice(settings, "format");
    let null = settings.is_on("null");
    if null && !matches!(format, FormatChoice::Auto | FormatChoice::Lines) {
        return Err(settings.wrong("null", "only lines end with a NUL byte, not records of another --format"));
    }
    let csv_only = ["no-header", "delimiter", "short-rows"].into_iter().filter(|name| settings.is_flag(name)).collect();
    Ok(InputOptions {
        files,
        format,
        columns: columns(settings, "columns")?,
        header: !settings.is_on("no-header"),
        delimiter: settings.text("delimiter").map(|text| delimiter(settings, text)).transpose()?,
        null,
        missing: settings.list("missing").to_vec(),
        short_rows: choice(settings, "short-rows"),
        csv_only,
    })
}

fn output_options(settings: &Settings) -> Result<OutputOptions, Abort> {
    let format = choice(settings, "output-format");
    let keep = match settings.text("keep") {
        None => Keep::Nothing,
        Some("all") => Keep::All,
        Some(_) => Keep::Columns(columns(settings, "keep")?.unwrap_or_default()),
    };
    if format == OutputFormat::Raw && keep != Keep::Nothing {
        return Err(settings.wrong("keep", "raw output has no columns: choose another --output-format"));
    }
    let file = settings.text("output").filter(|name| *name != "-").map(str::to_owned);
    Ok(OutputOptions { file, format, keep })
}

impl GangOptions {
    /// Reads the settings `workers` and `start-method`.
    pub(crate) fn parse(settings: &Settings) -> Result<Self, Abort> {
        let workers = settings.text("workers").unwrap_or_default();
        let workers = Workers::parse(workers).map_err(|problem| settings.wrong("workers", problem))?;
        Ok(Self { workers, start_method: choice(settings, "start-method") })
    }
}

fn run_options(settings: &Settings) -> Result<RunOptions, Abort> {
    let GangOptions { workers, start_method } = GangOptions::parse(settings)?;
    let serial = settings.is_on("serial");
    let (limits, attributes) = (Limits::parse(settings)?, Attributes::parse(settings)?);
    if serial {
        refuse_without_workers(settings)?;
    }
    Ok(RunOptions {
        unordered: settings.is_on("unordered"),
        workers,
        serial,
        start_method,
        chunksize: match settings.text("chunksize") {
            Some("auto") => None,
            _ => positive(settings, "chunksize", "neither auto nor")?,
        },
        max_tasks_per_worker: positive(settings, "max-tasks-per-worker", "not")?,
        seed: number(settings, "seed", 0..=u64::MAX)?,
        on_error: on_error(settings)?,
        fail_after: positive(settings, "fail-after", "not")?,
        limits,
        attributes,
        progress: choice(settings, "progress"),
    })
}

/// A run that ends at a certain failure reports those before it.
fn on_error(settings: &Settings) -> Result<OnError, Abort> {
    if settings.text("claim").is_some() && !settings.is_set("on-error") {
        // What fails is tried again, or given up; the others on the list have nothing to do with it.
        return Ok(OnError::Report);
    }
    let on_error = choice(settings, "on-error");
    if settings.text("fail-after").is_none() {
        return Ok(on_error);
    }
    if on_error == OnError::Stop && settings.is_set("on-error") {
        return Err(settings.wrong("on-error", "stop ends the run at the first failure, before --fail-after can"));
    }
    Ok(OnError::Report)
}

/// Limits are kept by ending workers, and concern whole processes: what runs in this one cannot be ended without it.
fn refuse_without_workers(settings: &Settings) -> Result<(), Abort> {
    match LIMITS_OF_WORKERS
        .iter()
        .find(|name| settings.text(name).is_some_and(|text| !matches!(text, "none" | "false")))
    {
        Some(name) => Err(settings.wrong(name, "needs workers, and --serial runs without them")),
        None => Ok(()),
    }
}

fn choice<T: Choice>(settings: &Settings, name: &str) -> T {
    let text = settings.text(name).expect("every choice has a default");
    let (_, value) = T::WORDS.iter().find(|(word, _)| *word == text).expect("the parser let only known words through");
    *value
}

fn columns(settings: &Settings, name: &str) -> Result<Option<Vec<String>>, Abort> {
    let Some(text) = settings.text(name) else {
        return Ok(None);
    };
    let names = split_list(text).map_err(|problem| settings.wrong(name, problem))?;
    match names.iter().any(String::is_empty) {
        true => Err(settings.wrong(name, format!("{text:?} holds an empty name"))),
        false => Ok(Some(names)),
    }
}

fn delimiter(settings: &Settings, text: &str) -> Result<u8, Abort> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [c] if c.is_ascii() && !b"\"\r\n\0".contains(c) => Ok(*c),
        _ => {
            Err(settings
                .wrong("delimiter", format!("{text:?} is not one ASCII character that can stand between cells")))
        }
    }
}

fn fixed_arguments(settings: &Settings) -> Result<Vec<(String, String)>, Abort> {
    let split = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(settings.wrong("arg", format!("{text:?} is not NAME=VALUE"))),
    };
    settings.list("arg").iter().map(split).collect()
}

/// Reads one value, if it is set.
pub(super) fn read<T>(
    settings: &Settings,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Abort> {
    settings.text(name).map(|text| parse(text).map_err(|problem| settings.wrong(name, problem))).transpose()
}

pub(super) fn number(settings: &Settings, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Abort> {
    whole(settings, name, &range, "not")
}

fn positive(settings: &Settings, name: &str, is: &str) -> Result<Option<NonZeroU64>, Abort> {
    let number = whole(settings, name, &(1..=u64::MAX), is)?;
    Ok(number.and_then(NonZeroU64::new))
}

fn whole(settings: &Settings, name: &str, range: &RangeInclusive<u64>, is: &str) -> Result<Option<u64>, Abort> {
    let wrong = |text: &str| {
        let problem = format!("{text:?} is {is} a whole number from {} to {}", range.start(), range.end());
        settings.wrong(name, problem)
    };
    let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| wrong(text));
    settings.text(name).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::attributes::Pin;
    use super::super::database::RowsOf;
    use super::super::settings::tests::settings;
    use super::*;
    use crate::flags::{Kind, flag};
    use ganger::{RetryOn, Rlimit};
    use std::time::Duration;

    fn parse(flags: &[&str]) -> Result<MapOptions, Abort> {
        MapOptions::parse(&settings(flags, &[])?)
    }

    fn words<T: Choice>() -> Vec<&'static str> {
        T::WORDS.iter().map(|(word, _)| *word).collect()
    }

    #[test]
    fn choices_agree_with_the_flag_table() {
        for (name, words) in [
            ("format", words::<FormatChoice>()),
            ("short-rows", words::<ShortRows>()),
            ("output-format", words::<OutputFormat>()),
            ("start-method", words::<StartMethod>()),
            ("on-error", words::<OnError>()),
            ("progress", words::<ProgressChoice>()),
        ] {
            assert_eq!(flag(name).kind, Kind::Choice(words.leak()), "{name}");
        }
    }

    #[test]
    fn defaults() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.input.files, ["-"]);
        assert!(options.input.header && !options.input.null && !options.run.serial && !options.run.unordered);
        assert_eq!(options.run.workers, Workers::Percent(100));
        assert_eq!((options.run.chunksize, options.run.seed, options.run.max_tasks_per_worker), (None, None, None));
        assert_eq!((options.run.on_error, options.output.format), (OnError::Stop, OutputFormat::Jsonl));
        assert_eq!(options.output.keep, Keep::Nothing);
    }

    #[test]
    fn wrong_values_name_the_flag() {
        for (flags, problem) in [
            (&["--delimiter", "ab"][..], "--delimiter: \"ab\" is not one ASCII character"),
            (&["--delimiter", "ä"], "--delimiter: \"ä\" is not one ASCII character"),
            (&["--delimiter", "\""], "--delimiter: \"\\\"\" is not one ASCII character"),
            (&["--arg", "min"], "--arg: \"min\" is not NAME=VALUE"),
            (&["--arg", "=3"], "--arg: \"=3\" is not NAME=VALUE"),
            (&["--chunksize", "0"], "--chunksize: \"0\" is neither auto nor a whole number from 1 to"),
            (&["--chunksize", "many"], "--chunksize: \"many\" is neither auto nor a whole number"),
            (&["--max-tasks-per-worker", "-1"], "--max-tasks-per-worker: \"-1\" is not a whole number"),
            (&["--seed", "1.5"], "--seed: \"1.5\" is not a whole number"),
            (&["-j", "0"], "--workers: \"0\" is no worker: at least 1"),
            (&["--columns", "a,,b"], "--columns: \"a,,b\" holds an empty name"),
            (&["--output-format", "raw", "--keep", "all"], "--keep: raw output has no columns"),
            (&["--timeout", "0"], "--timeout: \"0\" is out of range: a time is from 1ms to 24000h"),
            (&["--queue-timeout", "-1s"], "--queue-timeout: \"-1s\" is out of range"),
            (&["--grace", "soon"], "--grace: \"soon\" is not a time such as 250ms"),
            (&["--retries", "x"], "--retries: \"x\" is not a whole number"),
            (&["--retries", "99999999999"], "--retries: \"99999999999\" is not a whole number from 0 to 1000000"),
            (&["--backoff", "1s..2s"], "--backoff: means nothing without --retries"),
            (&["--retry-on", "error"], "--retry-on: means nothing without --retries"),
            (&["--retries", "1", "--backoff", "2s..1s"], "--backoff: \"2s..1s\" is out of order"),
            (
                &["--retries", "1", "--retry-on", "error,fire"],
                "--retry-on: \"fire\" is none of panic, crash, timeout, error",
            ),
            (&["--memory", "5"], "--memory: \"5\" is out of range: a size is from 1MiB"),
            (&["--memory", "2M", "--memory-soft", "3M"], "--memory-soft: 3M is more than --memory, 2M"),
            (&["--fail-after", "0"], "--fail-after: \"0\" is not a whole number from 1 to"),
            (&["--capture", "0"], "--capture: \"0\" is out of range: a size is from 1B"),
            (&["--serial", "--capture", "1M"], "--capture: needs workers"),
            (&["--fail-after", "3", "--on-error", "stop"], "--on-error: stop ends the run at the first failure"),
            (&["--db", "x"], "--db: ***: it is neither sqlite:PATH nor postgres://USER@HOST/DATABASE"),
            (&["--db", "sqlite::memory:"], "--db: sqlite::memory:: a database in memory is empty"),
            (&["--db", "sqlite:a"], "--db: means nothing without --input-sql or --claim"),
            (&["--input-sql", "SELECT 1"], "--input-sql: needs --db, which names the database"),
            (&["--output-sql", "t"], "--output-sql: needs --db, which names the database"),
            (&["--db", "sqlite:a", "--output-sql", "t"], "--output-sql: needs --input-sql or --claim: the key of"),
            (&["--db", "sqlite:a", "--input-sql", ""], "--input-sql: is empty"),
            (&["--db", "sqlite:a", "--input-sql", "SELECT 1", "--output-sql", "t"], "--output-sql: needs --key COLUMN"),
            (
                &["--db", "sqlite:a", "--input-sql", "SELECT 1", "--key", "k"],
                "--key: means nothing without --output-sql",
            ),
            (&["--db", "sqlite:a", "--input-sql", "SELECT 1", "--format", "csv"], "--format: is about files"),
            (&["--db", "sqlite:a", "--input-sql", "SELECT 1", "--input", "a"], "--input: is about files"),
            (
                &["--db", "sqlite:a", "--input-sql", "SELECT 1", "--output-sql", "t", "--key", "k", "--keep", "all"],
                "--keep: is about results that are written to a file",
            ),
            (&["--claim", "t"], "--claim: needs --db, which names the database"),
            (
                &["--db", "sqlite:a", "--claim", "t", "--key", "k"],
                "--claim: SQLite is for one machine: --input-sql and",
            ),
            (&["--db", "postgres://h/d", "--claim", "t"], "--claim: needs --key COLUMN"),
            (&["--db", "postgres://h/d", "--claim", "t", "--key", "k"], "--claim: needs --output-sql TABLE: a row is"),
            (
                &["--db", "postgres://h/d", "--claim", "t", "--input-sql", "SELECT 1"],
                "--claim: --input-sql is there too",
            ),
            (&["--db", "postgres://h/d", "--claim", ""], "--claim: is empty"),
            (
                &["--db", "postgres://h/d", "--claim", "t", "--key", "k", "--output-sql", "r", "--input", "a"],
                "--input: is about files",
            ),
            (&["--claim", "t", "--lease", "999ms"], "--lease: \"999ms\" is too short: a lease is 1s at least"),
            (&["--claim", "t", "--attempts", "0"], "--attempts: \"0\" is not a whole number from 1 to 1000000"),
            (&["--lease", "5s"], "--lease: means nothing without --claim"),
            (&["--attempts", "5"], "--attempts: means nothing without --claim"),
            (&["--serial", "--timeout", "3s"], "--timeout: needs workers, and --serial runs without them"),
            (&["--serial", "--memory", "3G"], "--memory: needs workers"),
            (&["--serial", "--rlimit", "core=0"], "--rlimit: needs workers"),
            (&["--serial", "--nice", "3"], "--nice: needs workers"),
            (&["--pin", "--serial"], "--pin: needs workers"),
            (&["--cgroup", "--serial"], "--cgroup: needs workers"),
            (
                &["--rlimit", "core=0", "--rlimit", "files=3"],
                "--rlimit: there is no rlimit \"files\": it is one of as, ",
            ),
            (&["--nice", "20"], "--nice: \"20\" is not a whole number from -20 (first) to 19 (last)"),
            (&["-0", "--format", "csv"], "--null: only lines end with a NUL byte"),
        ] {
            let abort = parse(flags).unwrap_err();
            assert!(abort.message.as_ref().unwrap().starts_with(problem), "{flags:?}: {abort:?}");
        }
    }

    #[test]
    fn limits_are_read() {
        let limits = |flags: &[&str]| parse(flags).unwrap().run.limits;
        assert_eq!(limits(&["--capture", "64KiB"]).capture, Some(65_536));
        assert_eq!(limits(&[]), Limits::default());
        let read = limits(&["--timeout", "1.5m", "--grace", "0", "--retries", "2", "--retry-on", "error, crash"]);
        assert_eq!((read.timeout, read.grace), (Some(Duration::from_secs(90)), Some(Duration::ZERO)));
        let retries = read.retries.unwrap();
        assert_eq!((retries.count, retries.on), (2, Some(vec![RetryOn::Error, RetryOn::Crash])));
        let read = limits(&["--retries", "0"]);
        assert_eq!(read.retries, None);
        assert_eq!(parse(&["--fail-after", "3"]).unwrap().run.on_error, OnError::Report);
        assert_eq!(parse(&["--serial", "--grace", "3s"]).unwrap().run.limits.grace, Some(Duration::from_secs(3)));
    }

    #[test]
    fn work_lists_are_read() {
        let flags = ["--db", "postgres://h/d", "--claim", "s.t", "--key", "k", "--output-sql", "r"];
        let list = |more: &[&str]| {
            let options = parse(&[&flags[..], more].concat()).unwrap();
            let Some(Database { rows: RowsOf::List(list), .. }) = options.database else { panic!("it is a list") };
            (list.table, list.lease, list.attempts, options.run.on_error)
        };
        assert_eq!(list(&[]), ("s.t".to_owned(), Duration::from_secs(60), 3, OnError::Report));
        let more = ["--lease", "1.5s", "--attempts", "1", "--on-error", "stop"];
        assert_eq!(list(&more), ("s.t".to_owned(), Duration::from_millis(1_500), 1, OnError::Stop));
    }

    #[test]
    fn attributes_are_read() {
        let attributes = |flags: &[&str]| parse(flags).unwrap().run.attributes;
        assert_eq!(attributes(&[]), Attributes::default());
        assert_eq!(parse(&["--serial", "--pin=none"]).unwrap().run.attributes, Attributes::default());
        let read = attributes(&["--rlimit", "core=0,cpu=3", "--rlimit", "nofile=64:128", "--nice=19", "--pin=auto"]);
        let rlimits = [(Rlimit::Core, 0.into()), (Rlimit::Cpu, 3.into()), (Rlimit::Nofile, (64, 128).into())];
        assert_eq!((read.rlimits, read.nice), (rlimits.to_vec(), Some(19)));
        assert_eq!(read.pin, Some(Pin::Auto));
        assert_eq!(attributes(&["--pin", "--nice", "3"]).pin, Some(Pin::Auto));
    }

    #[test]
    fn values_are_read() {
        let options = parse(&["--columns", "a,\"b,c\"", "--arg", "x=y=z", "-j", "-1", "--delimiter", "\\t"]).unwrap();
        assert_eq!(options.input.columns.unwrap(), ["a", "b,c"]);
        assert_eq!(options.fixed, [("x".to_owned(), "y=z".to_owned())]);
        assert_eq!(options.run.workers, Workers::AllBut(1));
        assert_eq!(options.input.delimiter, Some(b'\t'));
    }
}
