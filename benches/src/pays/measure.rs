//! What helpers measure: one start method, one payload.

use std::time::Duration;

use ganger::{Pool, SharedArray, StartMethod};

use super::payload::{Kind, Payload};
use super::record::{Figure, Record};
use super::work::{on_bytes, on_shared, turns_per_microsecond, work};
use crate::Result;
use crate::contest::{Contestant, Turn, contest, timed};

/// How long a helper may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Workers of each pool. Two are enough to see from when on it pays; more would only be as many as there are processors.
pub(super) const WORKERS: usize = 2;
/// How long tasks are meant to compute, in microseconds.
const LENGTHS: [f64; 13] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5];
/// How long all work is meant to take for which a pool is started, in microseconds.
const WORKS: [f64; 9] = [1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6];
/// Into how many tasks such work is divided.
const SHARES: usize = 64;

/// A task's cost with this payload: alone, among others, and beside a loop. (Only under the first start method: how a pool
/// was started makes no difference once it is there, which the other figures show.)
pub(crate) fn task_cost(method: StartMethod, payload: Payload, quick: bool) -> Result<Vec<Record>> {
    let bench = Bench { pool: Pool::builder().workers(WORKERS).start_method(method).build()?, payload };
    let record = |figure, time| Record::new(figure, method, payload, time);
    let rounds = if quick { 1 } else { 7 };
    let mut records =
        vec![record(Figure::Apply, bench.apply(rounds)?), record(Figure::Map, bench.beside_loop(0, 0.0, rounds)?.1)];
    if method == StartMethod::default() {
        let speed = turns_per_microsecond();
        for length in within(&LENGTHS, quick) {
            let (in_loop, in_pool) = bench.beside_loop((length * speed) as u64, length, rounds.min(5))?;
            records.push(record(Figure::Task, in_pool).with_loop(length, in_loop));
        }
    }
    Ok(records)
}

/// What it costs to start and end a pool, and from how much work on it is worth that.
pub(crate) fn start_cost(method: StartMethod, quick: bool) -> Result<Vec<Record>> {
    let record = |figure, time| Record::new(figure, method, Payload::SMALLEST, time);
    let rounds = if quick { 1 } else { 7 };
    let alone = Contestant::new("start", || timed(|| with_a_pool(method, 1, 0), |sum| sum));
    let [alone] = contest("us", 2 * rounds, [alone])?;
    let mut records = vec![record(Figure::Start, alone.runs.median())];
    let speed = turns_per_microsecond();
    for length in within(&WORKS, quick) {
        let turns = (length * speed) as u64 / SHARES as u64;
        let [in_loop, in_pool] = contest(
            "us",
            rounds,
            [
                Contestant::new("loop", || timed(|| Ok::<_, String>(in_a_loop(SHARES, turns)), |results| results)),
                Contestant::new("pool", || timed(|| with_a_pool(method, SHARES, turns), |results| results)),
            ],
        )?;
        records.push(record(Figure::Work, in_pool.runs.median()).with_loop(length, in_loop.runs.median()));
    }
    Ok(records)
}

/// The last ones take most of the time, and are left out where nobody needs the figures.
fn within(lengths: &[f64], quick: bool) -> impl Iterator<Item = f64> {
    lengths.iter().copied().take(lengths.len() - if quick { 2 } else { 0 })
}

/// As many bytes as the smallest payload has.
fn small(tasks: usize) -> impl Iterator<Item = Vec<u8>> {
    std::iter::repeat_with(|| vec![1; Payload::SMALLEST.bytes]).take(tasks)
}

fn in_a_loop(tasks: usize, turns: u64) -> Vec<u64> {
    small(tasks).map(|payload| work(&payload, turns)).collect()
}

fn with_a_pool(method: StartMethod, tasks: usize, turns: u64) -> Result<Vec<u64>> {
    let pool = Pool::builder().workers(WORKERS).start_method(method).build()?;
    let results = pool.starmap(on_bytes, small(tasks).map(|payload| (payload, turns)))?;
    pool.terminate();
    pool.join()?;
    Ok(results)
}

/// A warm pool, and what its tasks are sent.
struct Bench {
    pool: Pool,
    payload: Payload,
}

impl Bench {
    /// The median time of a round trip, in microseconds.
    fn apply(&self, rounds: u32) -> Result<f64> {
        let calls = self.tasks(0.0).min(200);
        let turn = || {
            let vectors = self.vectors(calls);
            let parts = self.parts(calls)?;
            let kind = self.payload.kind;
            let one = |result: std::result::Result<u64, ganger::TaskError>| result.map(drop);
            let run = || match kind {
                Kind::Bytes => vectors.into_iter().try_for_each(|bytes| one(self.pool.apply(on_bytes, (bytes, 0)))),
                Kind::Shared => parts.into_iter().try_for_each(|part| one(self.pool.apply(on_shared, (part, 0)))),
            };
            Ok(timed(run, |()| ())?.each_of(calls as u32))
        };
        let [score] = contest("us", rounds, [Contestant::new("apply", turn)])?;
        Ok(score.runs.median())
    }

    /// The median time for each of many tasks of so many turns in a loop and in the pool, in microseconds.
    fn beside_loop(&self, turns: u64, length: f64, rounds: u32) -> Result<(f64, f64)> {
        let tasks = self.tasks(length);
        let data = self.vectors(tasks);
        let in_loop = || -> Result<Turn<Vec<u64>>> {
            let run = || Ok::<_, String>(data.iter().map(|bytes| work(bytes, turns)).collect());
            Ok(timed(run, |results| results)?.each_of(tasks as u32))
        };
        let in_pool = || {
            let turn = match self.payload.kind {
                Kind::Bytes => {
                    let items = data.clone().into_iter().map(|bytes| (bytes, turns));
                    timed(|| self.pool.starmap(on_bytes, items), |results| results)
                }
                Kind::Shared => {
                    let items = self.parts(tasks)?.into_iter().map(|part| (part, turns));
                    timed(|| self.pool.starmap(on_shared, items), |results| results)
                }
            };
            Ok(turn?.each_of(tasks as u32))
        };
        let both = [Contestant::new("loop", in_loop), Contestant::new("pool", in_pool)];
        let [in_loop, in_pool] = contest("us", rounds, both)?;
        Ok((in_loop.runs.median(), in_pool.runs.median()))
    }

    /// How many tasks a run has: a twentieth of a second, and a quarter of a gigabyte, but a few of them; and as many for each
    /// worker, or the last one would be waited for.
    fn tasks(&self, length: f64) -> usize {
        const MEMORY: usize = 256 << 20;
        let by_time = (50_000.0 / length.max(0.1)) as usize;
        by_time.clamp(4, 20_000).min(MEMORY / self.payload.bytes) / WORKERS * WORKERS
    }

    fn vectors(&self, tasks: usize) -> Vec<Vec<u8>> {
        vec![vec![1; self.payload.bytes]; tasks]
    }

    /// One shared array in as many parts; none where nobody needs them.
    fn parts(&self, tasks: usize) -> Result<Vec<SharedArray<u8, 1>>> {
        match self.payload.kind {
            Kind::Bytes => Ok(Vec::new()),
            Kind::Shared => {
                let whole = SharedArray::zeros([tasks * self.payload.bytes])?;
                whole.claim()?.fill(1);
                Ok(whole.split_rows(tasks)?)
            }
        }
    }
}
