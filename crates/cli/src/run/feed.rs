//! Reads the inputs one after the other and yields a payload for each record.

use super::flight::{Context, Flight, Place, Trouble};
use super::opened::{Opened, open};
use crate::bind::{Binder, Conversion, Kept, KeptNames, Plan};
use crate::config::{OnError, ShortRows};
use crate::exit::Abort;
use crate::halt::Halt;
use crate::input::{RecordError, Source};
use std::sync::Arc;

/// Yields payloads; the context of each goes to the [`Flight`].
pub(crate) struct Feed {
    sources: std::vec::IntoIter<Source>,
    binder: Binder,
    rules: Rules,
    flight: Arc<Flight>,
    halt: Arc<Halt>,
    current: Option<(Source, Opened)>,
    /// The next payload's index.
    index: u64,
    ended: bool,
}

/// Says how the feed reads, and what it does when a record is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) header: bool,
    pub(super) short_rows: ShortRows,
    pub(super) on_error: OnError,
    /// All inputs must have the same kept columns: the output has one header.
    pub(super) same_columns: bool,
}

impl Rules {
    /// Returns the kept columns of the next input, unless the output has one header and they differ from those `before`.
    pub(super) fn next_names(self, before: KeptNames, plan: &Plan, source: &Source) -> Result<KeptNames, Abort> {
        let names = plan.kept_names();
        if self.same_columns && !before.is_empty() && before != names {
            return Err(Abort::usage(format!(
                "--keep all: {} has other columns than the input before it: name the columns to keep",
                source.name
            )));
        }
        Ok(names)
    }
}

/// Is one step of reading.
enum Step {
    Payload(Vec<u8>, Context),
    Bad(String, Context),
    Skipped(Place),
    Fatal(Abort),
    EndOfInput,
}

impl Iterator for Feed {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        while !self.ended && !self.halt.is_raised() {
            if self.current.is_none() {
                match self.open_next() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) if self.halt.is_raised() => break,
                    Err(abort) => return Some(self.fatal(abort)),
                }
            }
            let step = self.step();
            if self.halt.is_raised() {
                // What was read may be half a record.
                break;
            }
            match step {
                Step::Payload(payload, context) => return Some(self.depart(payload, context)),
                Step::Bad(problem, context) => {
                    self.ended = self.rules.on_error == OnError::Stop;
                    let context = Context { trouble: Some(Trouble::Bad(problem)), ..context };
                    return Some(self.depart(Vec::new(), context));
                }
                Step::Skipped(place) => self.flight.skip(place),
                Step::Fatal(abort) => return Some(self.fatal(abort)),
                Step::EndOfInput => self.current = None,
            }
        }
        self.ended = true;
        None
    }
}

impl Feed {
    /// Starts before the first record of the first input.
    pub(super) fn new(
        sources: Vec<Source>,
        binder: Binder,
        rules: Rules,
        flight: Arc<Flight>,
        halt: Arc<Halt>,
    ) -> Self {
        Self { sources: sources.into_iter(), binder, rules, flight, halt, current: None, index: 0, ended: false }
    }

    /// Goes on with an input that is open already.
    pub(super) fn with_open(mut self, source: Source, opened: Opened) -> Self {
        self.flight.set_kept_names(opened.plan.kept_names());
        self.current = Some((source, opened));
        self
    }

    /// Opens the next input that has records; `false` is the end.
    fn open_next(&mut self) -> Result<bool, Abort> {
        for source in self.sources.by_ref() {
            let Some(opened) = open(&source, &self.binder, self.rules.header, &self.halt)? else {
                continue;
            };
            let names = self.rules.next_names(self.flight.kept_names(), &opened.plan, &source)?;
            self.flight.set_kept_names(names);
            tracing::debug!(input = &*source.name, "reading");
            self.current = Some((source, opened));
            return Ok(true);
        }
        Ok(false)
    }

    fn step(&mut self) -> Step {
        let Some((source, opened)) = &mut self.current else {
            return Step::EndOfInput;
        };
        let Opened { reader, plan, pending } = opened;
        let start = if *pending { 0 } else { reader.position() };
        let converted = match reader.next_or_pending(pending) {
            Ok(Some(record)) => plan.convert(record),
            Ok(None) => {
                let present = reader.present();
                self.flight.count(|tally| tally.present += present);
                return Step::EndOfInput;
            }
            Err(RecordError::Bad(problem)) => (Conversion::Bad(problem), plan.nothing_kept()),
            Err(RecordError::Unreadable(error)) => {
                return Step::Fatal(Abort::reading(&source.name, &error));
            }
            Err(RecordError::Ended(abort)) => return Step::Fatal(abort),
        };
        let place = Place { file: source.name.clone(), line: reader.line(), label: reader.label() };
        let (bytes, key) = (reader.position() - start, reader.take_key());
        let context = |kept| Context { place: place.clone(), bytes, kept, trouble: None, key };
        match converted {
            (Conversion::Payload(payload), kept) => Step::Payload(payload, context(kept)),
            (Conversion::Short(_), _) if self.rules.short_rows == ShortRows::Skip => Step::Skipped(place),
            (Conversion::Short(problem) | Conversion::Bad(problem), kept) => Step::Bad(problem, context(kept)),
        }
    }

    /// Sends the end of reading on its way as a record, so that it arrives after the results before it.
    fn fatal(&mut self, abort: Abort) -> Vec<u8> {
        self.ended = true;
        let place = Place { file: "".into(), line: 0, label: None };
        let context =
            Context { place, bytes: 0, kept: Kept::default(), trouble: Some(Trouble::Fatal(abort)), key: None };
        self.depart(Vec::new(), context)
    }

    fn depart(&mut self, payload: Vec<u8>, context: Context) -> Vec<u8> {
        self.flight.depart(self.index, context);
        self.index += 1;
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{InputOptions, Keep, MapOptions, Settings};
    use crate::input::sources;
    use std::sync::mpsc::sync_channel;

    fn input(flags: &[&str]) -> InputOptions {
        let arguments = flags.iter().chain(&["square"]);
        let matches = crate::args::map().no_binary_name(true).get_matches_from(arguments);
        MapOptions::parse(&Settings::gather(&matches, |_| None).unwrap()).unwrap().input
    }

    fn feed(options: &InputOptions, flight: &Arc<Flight>) -> Feed {
        let task = ganger::registry::find("square").unwrap();
        let binder = Binder::new(task, &[], options, Keep::All).unwrap();
        let (short_rows, on_error) = (ShortRows::Skip, OnError::Report);
        let rules = Rules { header: true, short_rows, on_error, same_columns: false };
        Feed::new(sources(options).unwrap(), binder, rules, flight.clone(), Arc::new(Halt::new().unwrap()))
    }

    /// Reads ahead on another thread and takes outcomes out of order, as a pool does with `--unordered`.
    #[test]
    fn records_find_their_place_in_any_order() {
        let file = std::env::temp_dir().join(format!("ganger-feed-{}.csv", std::process::id()));
        let rows: String =
            (2..2_002).map(|line| if line % 7 == 0 { "x\n".into() } else { format!("{line}\n") }).collect();
        std::fs::write(&file, format!("n\n{rows}")).unwrap();
        let options = input(&["--input", file.to_str().unwrap()]);
        let flight = Arc::new(Flight::default());
        let feed = feed(&options, &flight);
        let (sender, receiver) = sync_channel(16);
        let reader = std::thread::spawn(move || (0..).zip(feed).for_each(|item| sender.send(item).unwrap()));

        let mut window: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut seen = 0;
        for item in receiver.iter() {
            window.push(item);
            if window.len() == 10 {
                for (index, payload) in window.drain(..).rev() {
                    let context = flight.arrive(index);
                    assert_eq!(context.place.line, index + 2);
                    assert_eq!(payload.is_empty(), context.place.line % 7 == 0);
                    assert_eq!(payload.is_empty(), matches!(context.trouble, Some(Trouble::Bad(_))));
                    assert_eq!(context.kept.cells.len(), 1);
                    seen += 1;
                }
            }
        }
        reader.join().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!((seen, flight.is_empty()), (2_000, true));
    }

    #[test]
    fn nothing_is_read_after_a_halt() {
        let flight = Arc::new(Flight::default());
        let mut feed = feed(&input(&[]), &flight);
        feed.halt.raise();
        assert_eq!(feed.next(), None);
        assert!(flight.is_empty());
    }

    #[test]
    fn what_ends_the_reading_comes_as_the_last_record() {
        let flight = Arc::new(Flight::default());
        let mut feed = feed(&input(&[]), &flight);
        let source = Source {
            name: "gone".into(),
            path: Some("/nonexistent".into()),
            format: crate::input::Format::Lines,
            regular: None,
        };
        feed.sources = vec![source.clone(), source].into_iter();
        assert_eq!(feed.next(), Some(Vec::new()));
        assert_eq!(feed.next(), None);
        let Some(Trouble::Fatal(abort)) = flight.arrive(0).trouble else { panic!("it is fatal") };
        assert_eq!(abort.code, crate::exit::NO_INPUT);
    }
}
