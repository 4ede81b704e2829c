//! The part of a page that a run replaces.

use std::path::Path;

use crate::Result;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// Puts what was measured into its place in the page.
pub(super) fn update(path: &Path, measured: &str) -> Result<()> {
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let page = std::fs::read_to_string(path).map_err(|error| about(&error))?;
    let page = replaced(&page, measured).map_err(|error| about(&error))?;
    Ok(std::fs::write(path, page).map_err(|error| about(&error))?)
}

fn replaced(page: &str, measured: &str) -> std::result::Result<String, String> {
    let (before, rest) = page.split_once(BEGIN).ok_or_else(|| format!("it has no line {BEGIN:?}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("it has no line {END:?} after {BEGIN:?}"))?;
    Ok([before, BEGIN, measured, END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::super::{RESULTS, charts, record, tables};
    use super::*;

    /// What the page says was measured is what its results file says, and so are its plots: nothing in them is written by hand.
    #[test]
    fn the_guide_shows_its_results() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide");
        let plots = guide.join("plots");
        let results = record::read(&plots.join(RESULTS)).expect("a results file");
        let page = std::fs::read_to_string(guide.join("when-it-pays.md")).expect("a page");
        assert_eq!(replaced(&page, &tables::all(&results)).as_ref(), Ok(&page));
        for (name, drawing) in charts::all(&results.records) {
            let drawn = std::fs::read_to_string(plots.join(name)).expect("a plot");
            assert!(drawn == drawing, "{name} is not drawn of these results: `--redraw` does it");
            assert!(page.contains(&format!("(plots/{name})")), "the page does not show {name}");
        }
    }

    #[test]
    fn only_the_measured_part_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(replaced(&page, "new\n"), Ok(format!("before\n{BEGIN}new\n{END}after\n")));
        assert!(replaced("nothing", "new\n").is_err());
        assert!(replaced(&format!("{END}{BEGIN}"), "new\n").is_err());
    }
}
