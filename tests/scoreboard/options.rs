//! The command line.

use ganger::StartMethod;

/// What to do.
#[derive(Debug)]
pub(crate) enum What {
    Board,
    Matrix,
    /// What the scoreboard starts for each cell: its name.
    Cell(String),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) what: What,
    pub(crate) methods: Vec<StartMethod>,
    pub(crate) row: Option<String>,
    pub(crate) json: Option<String>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { what: What::Board, methods: StartMethod::ALL.to_vec(), row: None, json: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--matrix" => options.what = What::Matrix,
                "--cell" => options.what = What::Cell(value()?),
                "--method" => options.methods = vec![method(&value()?)?],
                "--row" => options.row = Some(value()?),
                "--json" => options.json = Some(value()?),
                other => return Err(format!("{other:?} is not an option: --method, --row, --json and --matrix are")),
            }
        }
        Ok(options)
    }
}

fn method(name: &str) -> Result<StartMethod, String> {
    name.parse().map_err(|_| {
        let names = StartMethod::ALL.map(|method| method.to_string()).join(", ");
        format!("--method {name:?} is not a start method: {names} are")
    })
}
