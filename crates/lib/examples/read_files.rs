//! Tutorial T5, second part: the files of a list are read by the workers of a pool into a list that a manager keeps.
//!
//! `cargo run --release --example read_files -- [--serial] [--count FILES] [--start-method METHOD] [FILE...]`: of the files that are
//! named, or of some that are made for it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use ganger::manager::List;
use ganger::{Manager, Pool, partial};
use indicatif::{ProgressBar, ProgressIterator};

/// Makes files of a few hundred random words each, the same ones in every run, and returns their paths.
pub fn files(directory: &Path, count: u64) -> std::io::Result<Vec<PathBuf>> {
    const WORDS: [&str; 8] = ["to", "be", "or", "not", "that", "is", "the", "question\n"];
    let mut random = ganger::as_task(5, 0, ganger::task_rng);
    let mut write = |number: u64| {
        let path = directory.join(format!("text_{number}.txt"));
        let text: Vec<&str> = (0..200 + random.below(200)).map(|_| WORDS[random.below(8) as usize]).collect();
        std::fs::write(&path, text.join(" ")).map(|()| path)
    };
    (0..count).map(&mut write).collect()
}

/// The body of the loop. An error that does not say which file it is about helps nobody.
fn read_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The texts of all files, one after the other. The first that cannot be read ends it.
pub fn sequential(paths: &[PathBuf]) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(paths.iter().map(|path| read_file(path)).collect::<Result<_, _>>()?)
}

/// The same, by the workers of a pool. They append to the list in the order in which they are done, whatever that is: so each
/// text has the place of its path beside it, by which the manager sorts them in the end.
pub fn parallel(pool: &Pool, manager: &Manager, paths: &[PathBuf]) -> Result<Vec<String>, Box<dyn Error>> {
    let texts: List<(u64, String)> = manager.list()?;
    let paths: Vec<(u64, PathBuf)> = (0..).zip(paths.iter().cloned()).collect();
    let bar = ProgressBar::new(paths.len() as u64);
    pool.imap_unordered(partial(append, (texts.clone(),)), paths).progress_with(bar).try_for_each(|task| task)?;
    texts.update_all(|texts: &mut Vec<(u64, String)>| texts.sort(), ())?;
    Ok(texts.slice(..)?.into_iter().map(|(_, text)| text).collect())
}

fn append(texts: List<(u64, String)>, (place, path): (u64, PathBuf)) -> Result<(), String> {
    let text = read_file(&path)?;
    texts.push(&(place, text)).map_err(|error| error.to_string())
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut serial, mut count, mut paths) = (false, 500, Vec::new());
    let mut switches = std::env::args().skip(1);
    while let Some(switch) = switches.next() {
        let mut value = || switches.next().ok_or(format!("{switch} needs a value"));
        match switch.as_str() {
            "--serial" => serial = true,
            "--count" => count = value()?.parse().map_err(|error| format!("--count: {error}"))?,
            "--start-method" => ganger::set_start_method(value()?.parse()?)?,
            _ if switch.starts_with("--") => return Err(format!("there is no switch {switch:?}").into()),
            _ => paths.push(PathBuf::from(switch)),
        }
    }
    let temporary = std::env::temp_dir().join(format!("ganger-texts-{}", std::process::id()));
    let made = paths.is_empty();
    if made {
        std::fs::create_dir_all(&temporary)?;
        paths = files(&temporary, count)?;
    }
    let texts = read(serial, &paths);
    if made {
        std::fs::remove_dir_all(&temporary)?;
    }
    let texts = texts?;
    let words: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{} files with {words} words and {bytes} bytes", texts.len());
    for (path, text) in paths.iter().zip(&texts).take(3) {
        println!("{}: {} words", path.file_name().unwrap_or_default().display(), text.split_whitespace().count());
    }
    Ok(())
}

fn read(serial: bool, paths: &[PathBuf]) -> Result<Vec<String>, Box<dyn Error>> {
    let started = Instant::now();
    let texts = if serial { sequential(paths) } else { parallel(&Pool::builder().build()?, &Manager::new()?, paths) };
    eprintln!("{:.3} s", started.elapsed().as_secs_f64());
    texts
}

/// Prints what was read, or what could not be.
pub fn main() -> ExitCode {
    run().map_or_else(|error| (eprintln!("read_files: {error}"), ExitCode::FAILURE).1, |()| ExitCode::SUCCESS)
}
