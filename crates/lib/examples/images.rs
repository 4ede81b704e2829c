//! Tutorial T5: 2,000 images (200 without `--release`) of 100 x 100 random grey values, written as `image_0.png`, `image_1.png`, ... and read back.
//!
//! The recipe: the body of the loop becomes a function; what is the same for all images is bound with `partial`; `map` does the rest.
//!
//! `cargo run --release --example images -- [--serial] [--count IMAGES] [--size PIXELS] [--out DIRECTORY] [--start-method METHOD]`

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use ganger::{Pool, partial};
use indicatif::{ProgressBar, ProgressIterator};

/// What the grey values are derived from: the same ones in every run.
pub const SEED: u64 = 5;

/// The body of the loop. Its random numbers depend on the seed and the image's number, not on the worker that draws them.
/// Returns the sum of the grey values, to be compared with what is read back.
pub fn write_image(directory: PathBuf, prefix: String, size: u32, number: u64) -> Result<u64, String> {
    let mut grey = vec![0; (size * size) as usize];
    ganger::task_rng().fill(&mut grey);
    let path = directory.join(format!("{prefix}{number}.png"));
    encode(&path, size, &grey).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(sum(&grey))
}

fn encode(path: &Path, size: u32, grey: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), size, size);
    encoder.set_color(png::ColorType::Grayscale); // eight bits of it, without more ado
    let mut writer = encoder.write_header()?;
    writer.write_image_data(grey)?;
    Ok(writer.finish()?)
}

/// Reads an image back, and returns the sum of its grey values.
pub fn read_image(directory: &Path, size: u32, number: u64) -> Result<u64, String> {
    let path = directory.join(format!("image_{number}.png"));
    decode(&path, size).map(|grey| sum(&grey)).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn decode(path: &Path, size: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path)?)).read_info()?;
    let mut grey = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    let frame = reader.next_frame(&mut grey)?;
    let right = (frame.width, frame.height, frame.color_type) == (size, size, png::ColorType::Grayscale);
    Ok(right.then_some(grey).ok_or("it has another size or other colours")?)
}

fn sum(grey: &[u8]) -> u64 {
    grey.iter().copied().map(u64::from).sum()
}

/// One image after the other. `as_task` has `task_rng` draw what it draws in a worker.
pub fn sequential(directory: &Path, count: u64, size: u32) -> Result<Vec<u64>, Box<dyn Error>> {
    let write =
        |number| ganger::as_task(SEED, number, || write_image(directory.to_owned(), "image_".to_owned(), size, number));
    Ok((0..count).map(write).collect::<Result<_, _>>()?)
}

/// The same images, written by the workers of a pool: one whose seed is [`SEED`], and that has done nothing before, since
/// random numbers are other ones in each call.
pub fn parallel(pool: &Pool, directory: &Path, count: u64, size: u32) -> Result<Vec<u64>, Box<dyn Error>> {
    let write = partial(write_image, (directory.to_owned(), "image_".to_owned(), size));
    Ok(pool.imap(write, 0..count).progress_with(ProgressBar::new(count)).collect::<Result<_, _>>()?)
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut serial, mut count, mut size, mut out) =
        (false, if cfg!(debug_assertions) { 200 } else { 2_000 }, 100, None);
    let mut switches = std::env::args().skip(1);
    while let Some(switch) = switches.next() {
        let mut value = || switches.next().ok_or(format!("{switch} needs a value"));
        match switch.as_str() {
            "--serial" => serial = true,
            "--count" => count = value()?.parse().map_err(|error| format!("--count: {error}"))?,
            "--size" => size = value()?.parse().map_err(|error| format!("--size: {error}"))?,
            "--out" => out = Some(PathBuf::from(value()?)),
            "--start-method" => ganger::set_start_method(value()?.parse()?)?,
            _ => return Err(format!("there is no switch {switch:?}").into()),
        }
    }
    if !(1..=10_000).contains(&size) {
        return Err(format!("--size: {size} is not from 1 to 10000").into());
    }
    let temporary = std::env::temp_dir().join(format!("ganger-images-{}", std::process::id()));
    let directory = out.as_ref().unwrap_or(&temporary);
    std::fs::create_dir_all(directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    let answer = write_and_check(serial, directory, count, size);
    if out.is_none() {
        std::fs::remove_dir_all(directory)?;
    }
    println!("{}", answer?);
    Ok(())
}

fn write_and_check(serial: bool, directory: &Path, count: u64, size: u32) -> Result<String, Box<dyn Error>> {
    let pool = if serial { None } else { Some(Pool::builder().seed(SEED).build()?) };
    let started = Instant::now();
    let written = match &pool {
        Some(pool) => parallel(pool, directory, count, size)?,
        None => sequential(directory, count, size)?,
    };
    eprintln!("written in {:.3} s", started.elapsed().as_secs_f64());
    let read: Vec<u64> = (0..count).map(|number| read_image(directory, size, number)).collect::<Result<_, _>>()?;
    if let Some(number) = (0..read.len()).find(|number| read[*number] != written[*number]) {
        return Err(format!("image_{number}.png is not what was written").into());
    }
    let mean = read.iter().sum::<u64>() as f64 / (count.max(1) * u64::from(size) * u64::from(size)) as f64;
    Ok(format!("{count} images of {size} x {size}, all as they were written; the mean grey value is {mean:.4}"))
}

/// Prints the answer, or why there is none.
pub fn main() -> ExitCode {
    run().map_or_else(|error| (eprintln!("images: {error}"), ExitCode::FAILURE).1, |()| ExitCode::SUCCESS)
}
