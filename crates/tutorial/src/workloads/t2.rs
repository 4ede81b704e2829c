//! T2: numbers within a range, cubes in all the ways to call a pool, and a data frame.

use ganger::Pool;

use crate::examples::count_in_range::{self as range, HIGH, LOW, Row, SEED};
use crate::examples::{cubes, frame};
use crate::stage::{Fallible, Stage, count};

pub(crate) fn run(stage: &mut Stage<'_>) -> Fallible<()> {
    let pool = stage.pool()?;
    count_in_range(stage, &pool)?;
    data_frame(stage, &pool)?;
    cubes_by_three(stage)
}

fn count_in_range(stage: &mut Stage<'_>, pool: &Pool) -> Fallible<()> {
    let rows = range::rows(stage.size([2_000, 200_000, 200_000]), SEED);
    let few = &rows[..stage.size([200, 10_000, 200_000])];
    let apply = |row: &Row| Ok(pool.apply(range::count_in_range, (*row, LOW, HIGH))?);
    stage.compare(
        format!("{} rows, apply for each", count(few.len() as u64)),
        pool,
        || Ok(range::sequential(few)),
        |_| few.iter().map(apply).collect(),
    );
    stage.compare(
        format!("{} rows, a map of all", count(rows.len() as u64)),
        pool,
        || Ok(range::sequential(&rows)),
        |pool| Ok(range::parallel(pool, &rows)?),
    );
    let shared = range::share(&rows)?;
    stage.compare(
        format!("{} rows in shared memory", count(rows.len() as u64)),
        pool,
        || Ok(range::sequential(&rows)),
        |pool| range::parallel_shared(pool, &shared),
    );
    Ok(())
}

fn data_frame(stage: &mut Stage<'_>, pool: &Pool) -> Fallible<()> {
    let rows: usize = stage.size([2_000, 1_000_000, 1_000_000]);
    let frame = frame::frame(rows, 1)?;
    let rows = count(rows as u64);
    let columns = || (0..frame.num_columns()).map(|column| frame::values(&frame, column).to_vec());
    stage.compare(
        format!("frame of {rows} rows, by row"),
        pool,
        || Ok(frame::rows(&frame).map(|(latitude, longitude)| frame::distance(latitude, longitude)).collect()),
        |pool| Ok::<Vec<_>, _>(pool.starmap(frame::distance, frame::rows(&frame))?),
    );
    stage.compare(
        format!("frame of {rows} rows, by column"),
        pool,
        || Ok(columns().map(frame::sum_of_squares).collect()),
        |pool| Ok::<Vec<_>, _>(pool.map(frame::sum_of_squares, columns())?),
    );
    stage.compare(
        format!("frame of {rows} rows, by partition"),
        pool,
        || Ok(frame::sequential(&frame)),
        |pool| frame::parallel(pool, &frame),
    );
    Ok(())
}

fn cubes_by_three(stage: &mut Stage<'_>) -> Fallible<()> {
    let pool = stage.started(|| Pool::new(cubes::WORKERS))?;
    let numbers = cubes::numbers(stage.size([200, 5_000, 5_000]));
    stage.compare(
        format!("{} cubes by {} workers, map", count(numbers.len() as u64), cubes::WORKERS),
        &pool,
        || Ok(cubes::sequential(&numbers)),
        |pool| Ok(cubes::parallel(pool, &numbers)?),
    );
    // As many loops as there are other ways.
    stage.compare(
        "the same in 8 other ways, apply among them",
        &pool,
        || Ok((0..8).map(|_| cubes::sequential(&numbers)).collect()),
        |pool| Ok::<Vec<_>, _>(cubes::other_ways(pool, &numbers)?.into_iter().map(|(_, cubes)| cubes).collect()),
    );
    Ok(())
}
