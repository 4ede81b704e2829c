//! T3: squares with and without a nap, files in many directories, processes and a queue.

use std::fs;
use std::path::{Path, PathBuf};

use ganger::Pool;

use crate::examples::{find_files, processes_and_a_queue as processes, squares};
use crate::stage::{Fallible, Stage, count};

/// What the files are called whose sizes are asked for; every second one is.
const EXTENSION: &str = "py";

pub(crate) fn run(stage: &mut Stage<'_>) -> Fallible<()> {
    let pool = stage.pool()?;
    let numbers = squares::numbers(1_000);
    stage.compare(
        "1,000 squares, a task each",
        &pool,
        || Ok(squares::sequential(&numbers, squares::square)),
        |pool| Ok(squares::parallel(pool, &numbers)?),
    );
    stage.compare(
        "1,000 squares, a slice for each worker",
        &pool,
        || Ok(squares::sequential(&numbers, squares::square)),
        |pool| Ok(squares::vectorised(pool, &numbers)?),
    );
    naps(stage)?;
    files(stage, &pool)?;
    let count: u64 = stage.size([4, 10, 10]);
    stage.compare_without_pool(
        format!("{count} cubes by processes, and a queue"),
        || Ok(processes::sequential(count)),
        || processes::parallel(count),
    );
    Ok(())
}

fn naps(stage: &mut Stage<'_>) -> Fallible<()> {
    let sleepers = stage.started(|| Pool::new(squares::SLEEPERS))?;
    let numbers = squares::numbers(stage.size([16, 200, 1_000]));
    stage.compare(
        format!("{} squares with naps, {} workers", count(numbers.len() as u64), squares::SLEEPERS),
        &sleepers,
        || Ok(squares::sequential(&numbers, squares::slow_square)),
        |pool| Ok(squares::parallel_with_naps(pool, &numbers)?),
    );
    Ok(())
}

fn files(stage: &mut Stage<'_>, pool: &Pool) -> Fallible<()> {
    let (directories, each): (u64, u64) = stage.size([(10, 4), (200, 20), (1_000, 10)]);
    let root = stage.directory("files")?;
    plant(&root, directories, each)?;
    let roots = [root];
    let all = find_files::directories(&roots)?;
    let name = format!("files in {} directories", count(directories));
    stage.compare(
        format!("{name}, a task each"),
        pool,
        || Ok(find_files::sequential(&all, EXTENSION)?),
        |pool| Ok(find_files::parallel(pool, &all, EXTENSION)?),
    );
    stage.compare(
        format!("{name}, beside a glob"),
        pool,
        || find_files::by_glob(&roots, EXTENSION),
        |pool| Ok(find_files::parallel(pool, &all, EXTENSION)?),
    );
    Ok(())
}

/// Makes so many directories, some within others, with so many files each, whose sizes depend on their number alone.
fn plant(root: &Path, directories: u64, each: u64) -> std::io::Result<()> {
    for number in 0..directories {
        let directory: PathBuf = root.join(format!("group-{}", number % 10)).join(format!("package-{number}"));
        fs::create_dir_all(&directory)?;
        for file in 0..each {
            let extension = if file % 2 == 0 { EXTENSION } else { "txt" };
            let size = (number * 31 + file * 97) % 1_000;
            fs::write(directory.join(format!("module_{file}.{extension}")), vec![b'#'; size as usize])?;
        }
    }
    Ok(())
}
