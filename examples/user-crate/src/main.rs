//! What the README shows: a function that the whole command line can call.

/// How warm it feels, in degrees Fahrenheit; nothing where a reading is missing.
#[ganger::task]
fn feels_like(temp: Option<f64>, humid: Option<f64>) -> Option<f64> {
    Some(temp? + 0.05 * (humid? - 50.0))
}

fn main() -> std::process::ExitCode {
    ganger_cli::main()
}
