//! The files of an extension under some directories, with their sizes: in a loop, by a pool, and by a glob.
//!
//! ```sh
//! cargo run --release --example find_files -- rs crates tests --start-method fork      # or: --serial
//! ```
//!
//! The kernel answers such questions from its cache in a microsecond, so a loop is hard to beat; on a network's disk it is not.
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ganger::{Pool, TaskError, partial};
use indicatif::ProgressIterator;

/// A file's path and size.
pub type Found = (PathBuf, u64);

/// These directories and all below them; symbolic links are not followed, so there is no way round in circles.
pub fn directories(roots: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(directory) = found.get(next).cloned() {
        let entries = fs::read_dir(&directory).map_err(|error| about(&directory, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| about(&directory, &error))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path());
            }
        }
        next += 1;
    }
    Ok(found)
}

/// The task: the files of one directory with this extension, each with what `stat` says of its size.
pub fn files(extension: String, directory: PathBuf) -> Result<Vec<Found>, String> {
    let entries = fs::read_dir(&directory).map_err(|error| about(&directory, &error))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let wanted = paths.filter(|path| path.extension().is_some_and(|own| own == extension.as_str()));
    // A file that has gone since its directory was read has no size, and is no answer.
    let sized =
        wanted.filter_map(|path| fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|it| (path, it.len())));
    Ok(sized.collect())
}

/// What could not be read, and why.
fn about(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

/// In this process.
pub fn sequential(directories: &[PathBuf], extension: &str) -> Result<Vec<Found>, String> {
    directories
        .iter()
        .map(|directory| files(extension.to_owned(), directory.clone()))
        .collect::<Result<Vec<_>, _>>()
        .map(sorted)
}

/// A task for each directory; the extension is bound, and sent once to each worker.
pub fn parallel(pool: &Pool, directories: &[PathBuf], extension: &str) -> Result<Vec<Found>, TaskError> {
    let task = partial(files, (extension.to_owned(),));
    let found = pool.imap_unordered(task, directories.to_vec()).progress_count(directories.len() as u64);
    found.collect::<Result<Vec<_>, _>>().map(sorted)
}

/// By patterns, in this process.
pub fn by_glob(roots: &[PathBuf], extension: &str) -> Result<Vec<Found>, Box<dyn Error>> {
    let mut found = Vec::new();
    for root in roots {
        for path in glob::glob(&format!("{}/**/*.{extension}", glob::Pattern::escape(&root.to_string_lossy())))? {
            let path = path?;
            let size = fs::metadata(&path)?.len();
            found.push((path, size));
        }
    }
    Ok(sorted(vec![found]))
}

fn sorted(found: Vec<Vec<Found>>) -> Vec<Found> {
    let mut found = found.concat();
    found.sort_unstable();
    found
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut names, mut serial) = (Vec::new(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serial" => serial = true,
            "--start-method" => ganger::set_start_method(arguments.next().ok_or("which start method?")?.parse()?)?,
            _ => names.push(argument),
        }
    }
    let mut names = names.into_iter();
    let extension = names.next().unwrap_or_else(|| "rs".to_owned());
    let mut roots: Vec<PathBuf> = names.map(PathBuf::from).collect();
    if roots.is_empty() {
        roots.push(concat!(env!("CARGO_MANIFEST_DIR"), "/src").into());
    }
    let start = Instant::now();
    let directories = directories(&roots)?;
    let found = match serial {
        true => sequential(&directories, &extension)?,
        false => parallel(&Pool::builder().build()?, &directories, &extension)?,
    };
    eprintln!("{} directories: {:?}", directories.len(), start.elapsed());
    let start = Instant::now();
    let globbed = by_glob(&roots, &extension)?;
    eprintln!("glob: {:?}", start.elapsed());
    println!("{} files with {} bytes", found.len(), found.iter().map(|(_, size)| size).sum::<u64>());
    if let Some((path, size)) = found.iter().max_by_key(|(_, size)| size) {
        println!("the largest: {}, {size} bytes", path.display());
    }
    println!("the glob finds {} files", globbed.len());
    Ok(())
}
