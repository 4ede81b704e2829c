//! T5: images and texts in files, and an array that is filled in place.

use std::fs;
use std::path::Path;

use ganger::{Manager, SealedArray};

use crate::examples::{fill_array, images, read_files};
use crate::stage::{Fallible, Stage, count};

pub(crate) fn run(stage: &mut Stage<'_>) -> Fallible<()> {
    write_images(stage)?;
    read_texts(stage)?;
    // A pool that has done nothing before: random numbers are other ones in each call.
    let (rows, pool) = (stage.size([1_000, 50_000, 500_000]), stage.seeded_pool(fill_array::SEED)?);
    stage.compare(
        format!("{} x {} numbers filled in place", count(rows as u64), fill_array::COLUMNS),
        &pool,
        || Ok(Filled(fill_array::sequential(rows)?)),
        |pool| Ok(Filled(fill_array::parallel(pool, rows)?)),
    );
    Ok(())
}

/// Compared where it is.
struct Filled(SealedArray<f64, 2>);

impl PartialEq for Filled {
    fn eq(&self, other: &Self) -> bool {
        self.0[..] == other.0[..]
    }
}

fn write_images(stage: &mut Stage<'_>) -> Fallible<()> {
    let (images, size): (u64, u32) = stage.size([(20, 30), (2_000, 100), (2_000, 100)]);
    let (ours, theirs) = (stage.directory("images-sequential")?, stage.directory("images-parallel")?);
    let pool = stage.seeded_pool(images::SEED)?;
    let written = |directory, sums: Vec<u64>| Written { directory, sums, size };
    stage.compare(
        format!("{} images of {size} x {size}", count(images)),
        &pool,
        || Ok(written(&ours, images::sequential(&ours, images, size)?)),
        |pool| Ok(written(&theirs, images::parallel(pool, &theirs, images, size)?)),
    );
    Ok(())
}

/// Images, with the sum of each as it was drawn. What is compared is what can be read back.
struct Written<'a> {
    directory: &'a Path,
    sums: Vec<u64>,
    size: u32,
}

impl Written<'_> {
    fn reads_back(&self) -> bool {
        let read = |number| images::read_image(self.directory, self.size, number).ok();
        (0..).zip(&self.sums).all(|(number, sum)| read(number) == Some(*sum))
    }

    fn file(&self, number: usize) -> Option<Vec<u8>> {
        fs::read(self.directory.join(format!("image_{number}.png"))).ok()
    }
}

impl PartialEq for Written<'_> {
    fn eq(&self, other: &Self) -> bool {
        let same_files = || (0..self.sums.len()).all(|number| self.file(number) == other.file(number));
        self.sums == other.sums && self.reads_back() && same_files()
    }
}

fn read_texts(stage: &mut Stage<'_>) -> Fallible<()> {
    let (manager, pool) = (Manager::new()?, stage.pool()?);
    let files: u64 = stage.size([20, 500, 5_000]);
    let paths = read_files::files(&stage.directory("texts")?, files)?;
    stage.compare(
        format!("{} texts into a managed list", count(files)),
        &pool,
        || read_files::sequential(&paths),
        |pool| read_files::parallel(pool, &manager, &paths),
    );
    Ok(())
}
