//! Tasks that read files.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Lists the files below a directory that have this extension, sorted. An empty extension finds files without one;
/// links to directories are not followed.
#[ganger::task]
fn find_files(dir: PathBuf, extension: String) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![dir];
    while let Some(dir) = open.pop() {
        visit(&dir, extension.trim_start_matches('.'), &mut open, &mut found).map_err(|error| at(&dir, &error))?;
    }
    found.sort();
    Ok(found)
}

fn visit(dir: &Path, extension: &str, open: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            open.push(path);
        } else if path.extension().unwrap_or_default() == extension {
            found.push(path);
        }
    }
    Ok(())
}

/// Counts the words of a file: what stands between ASCII blanks and line ends.
#[ganger::task]
fn word_count(path: PathBuf) -> Result<u64, String> {
    count_words(&path).map_err(|error| at(&path, &error))
}

fn count_words(path: &Path) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(64 * 1024, File::open(path)?);
    let (mut words, mut inside) = (0, false);
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok(words);
        }
        for byte in block {
            let blank = byte.is_ascii_whitespace();
            words += u64::from(!blank && !inside);
            inside = !blank;
        }
        let read = block.len();
        reader.consume(read);
    }
}

/// Returns the SHA-256 checksum of a file as hexadecimal digits.
#[ganger::task]
fn sha256(path: PathBuf) -> Result<String, String> {
    checksum(&path).map_err(|error| at(&path, &error))
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => {
                return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
            }
            read => hash.update(&block[..read]),
        }
    }
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
