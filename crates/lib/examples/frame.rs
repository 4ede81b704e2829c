//! A data frame (an Arrow record batch) of places, handled by row, by column and by partition: how far are they from New York?
//! Run it: `cargo run --release --example frame -- 1000000 --start-method spawn` (or `--serial`).
//!
//! Rows and columns travel as values; partitions in shared memory, in Arrow's own format, whose columns workers use where they are.
use arrow_array::{Float64Array, RecordBatch, cast::AsArray, types::Float64Type};
use arrow_buffer::Buffer;
use arrow_ipc::{reader::StreamDecoder, writer::StreamWriter};
use ganger::{AsyncResult, Pool, SealedArray, SharedArray};
use indicatif::ProgressIterator;
use std::{error::Error, sync::Arc};

/// Into how many partitions a frame is divided: more than there are workers, so that a slow one holds nobody up.
pub const PARTS: usize = 8;

/// A frame of latitudes and longitudes that depend on the seed alone (Knuth's MMIX generator).
pub fn frame(rows: usize, mut seed: u64) -> Result<RecordBatch, Box<dyn Error>> {
    let mut degrees = |most: f64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0) * most
    };
    let (latitudes, longitudes): (Vec<_>, Vec<_>) = (0..rows).map(|_| (degrees(90.0), degrees(180.0))).unzip();
    let column = |values| Arc::new(Float64Array::from(values)) as _;
    Ok(RecordBatch::try_from_iter([("latitude", column(latitudes)), ("longitude", column(longitudes))])?)
}

/// The task for a row: how many kilometres a place is from New York.
pub fn distance(latitude: f64, longitude: f64) -> u64 {
    let (a, b) = (40.7_f64.to_radians(), latitude.to_radians());
    let (half_height, half_width) = ((b - a) / 2.0, (longitude + 74.0).to_radians() / 2.0);
    let haversine = half_height.sin().powi(2) + a.cos() * b.cos() * half_width.sin().powi(2);
    (2.0 * 6371.0 * haversine.sqrt().min(1.0).asin()).round() as u64
}

/// The task for a column: the sum of its squares.
pub fn sum_of_squares(column: Vec<f64>) -> f64 {
    column.iter().map(|value| value * value).sum()
}

/// The work for a frame or a part of it, in this process: all distances, added up.
pub fn sequential(frame: &RecordBatch) -> u64 {
    rows(frame).map(|(latitude, longitude)| distance(latitude, longitude)).sum()
}

pub(crate) fn values(frame: &RecordBatch, column: usize) -> &[f64] {
    frame.column(column).as_primitive::<Float64Type>().values()
}

pub(crate) fn rows(frame: &RecordBatch) -> impl Iterator<Item = (f64, f64)> {
    values(frame, 0).iter().copied().zip(values(frame, 1).iter().copied())
}

/// Writes a frame into memory that workers can map, as a stream of Arrow's interprocess format.
pub fn share(frame: &RecordBatch) -> Result<SealedArray<u8, 1>, Box<dyn Error>> {
    let sizes = frame.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    let data: usize = sizes.sum::<Result<_, _>>()?;
    // The schema and the padding are well below 64 KiB here; what is not written to takes up no memory.
    let memory = SharedArray::zeros([data + (64 << 10)])?;
    let mut claimed = memory.claim()?;
    let mut writer = StreamWriter::try_new(&mut claimed[..], &frame.schema())?;
    writer.write(frame)?;
    writer.finish()?;
    drop(claimed);
    Ok(memory.seal()?)
}

/// Memory that a buffer of Arrow's keeps alive.
struct Mapped(SealedArray<u8, 1>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The frame in such memory. Nothing is copied: where that would be needed, it is an error.
pub fn open(memory: SealedArray<u8, 1>) -> Result<RecordBatch, Box<dyn Error>> {
    let mut buffer = Buffer::from(bytes::Bytes::from_owner(Mapped(memory)));
    StreamDecoder::new().with_require_alignment(true).decode(&mut buffer)?.ok_or_else(|| "there is no frame".into())
}

/// The task for a partition.
pub fn partition_total(memory: SealedArray<u8, 1>) -> Result<u64, String> {
    open(memory).map(|frame| sequential(&frame)).map_err(|error| error.to_string())
}

/// By partition, in workers. While they handle the first ones, the next are written.
pub fn parallel(pool: &Pool, frame: &RecordBatch) -> Result<u64, Box<dyn Error>> {
    let (all, rows) = (frame.num_rows(), frame.num_rows().div_ceil(PARTS).max(1));
    let parts = (0..all).step_by(rows).map(|first| frame.slice(first, rows.min(all - first)));
    let totals = parts.map(|part| Ok(pool.apply_async(partition_total, (share(&part)?,))));
    let totals: Vec<AsyncResult<u64>> = totals.collect::<Result<_, Box<dyn Error>>>()?;
    Ok(totals.into_iter().progress().map(|total| total.get()).sum::<Result<u64, _>>()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut size, mut serial, mut arguments) = (1_000_000, false, std::env::args().skip(1));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serial" => serial = true,
            "--start-method" => ganger::set_start_method(arguments.next().ok_or("which start method?")?.parse()?)?,
            number => size = number.parse().map_err(|_| format!("{number:?} is no count of rows"))?,
        }
    }
    let frame = frame(size, 1)?;
    let columns = || (0..frame.num_columns()).map(|column| values(&frame, column).to_vec());
    let start = std::time::Instant::now();
    let (by_row, by_column, by_partition) = if serial {
        let by_row: Vec<_> = rows(&frame).map(|(latitude, longitude)| distance(latitude, longitude)).collect();
        (by_row, columns().map(sum_of_squares).collect::<Vec<_>>(), sequential(&frame))
    } else {
        let pool = Pool::builder().build()?;
        let by_row = pool.starmap(distance, rows(&frame))?;
        (by_row, pool.map(sum_of_squares, columns())?, parallel(&pool, &frame)?)
    };
    eprintln!("{:?}", start.elapsed());
    println!("by row: {} distances, {:?} km", by_row.len(), &by_row[..by_row.len().min(5)]);
    println!("by column: sums of squares {by_column:?}\nby partition: {by_partition} km in all");
    Ok(())
}
