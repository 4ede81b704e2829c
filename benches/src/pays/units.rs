//! Times and sizes, as people write them.

/// A time in microseconds, with two digits that count: `0.85 us`, `12 us`, `1.2 ms`, `30 s`.
pub(super) fn time(microseconds: f64) -> String {
    // What would be rounded to a thousand is one of the next unit.
    let (number, unit) = match microseconds {
        us if us < 995.0 => (us, "us"),
        us if us < 995e3 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    format!("{} {unit}", two_digits(number))
}

/// A number with two digits that count.
fn two_digits(number: f64) -> String {
    if number <= 0.0 {
        return "0".to_owned();
    }
    let unit = 10_f64.powf(number.log10().floor() - 1.0);
    let rounded = (number / unit).round() * unit;
    let decimals = (-rounded.log10().floor() + 1.0).max(0.0) as usize;
    let text = format!("{rounded:.decimals$}");
    // `3.0` has been measured as `3`, as far as anybody can tell.
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number of bytes that is whole in its unit: `8 B`, `64 KiB`.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes < 1 << 10 => format!("{bytes} B"),
        bytes if bytes < 1 << 20 => format!("{} KiB", bytes >> 10),
        bytes => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_digits() {
        let table = [
            (0.0, "0 us"),
            (0.0123, "0.012 us"),
            (0.854, "0.85 us"),
            (1.0, "1 us"),
            (9.96, "10 us"),
            (12.4, "12 us"),
            (996.0, "1 ms"),
            (1_234.0, "1.2 ms"),
            (123_000.0, "120 ms"),
            (2e6, "2 s"),
        ];
        for (microseconds, text) in table {
            assert_eq!(time(microseconds), text);
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([8, 1 << 10, 64 << 10, 16 << 20].map(size), ["8 B", "1 KiB", "64 KiB", "16 MiB"]);
    }
}
