//! Finds columns by name or number.

use crate::nearest::suggestion;

/// Returns the index of the column that `wanted` names. A name goes before a number.
pub(super) fn find(wanted: &str, header: &[String]) -> Result<usize, String> {
    let mut matches = header.iter().enumerate().filter(|(_, name)| *name == wanted);
    match (matches.next(), matches.next()) {
        (Some((column, _)), None) => Ok(column),
        (Some((first, _)), Some((second, _))) => {
            Err(format!("there are several columns {wanted:?}: use a number, such as {} or {}", first + 1, second + 1))
        }
        (None, _) => match wanted.parse::<usize>() {
            Ok(number) if (1..=header.len()).contains(&number) => Ok(number - 1),
            Ok(_) => Err(format!("there is no column {wanted}; the columns are numbered from 1 to {}", header.len())),
            Err(_) => Err(format!("there is no column {wanted:?}; {}{}", listed(header), nearby(wanted, header))),
        },
    }
}

/// Finds the column or key of an argument's name; `-` and `_` are the same.
pub(super) fn find_argument(argument: &str, names: &[String]) -> Option<usize> {
    names.iter().position(|name| alike(name, argument))
}

/// Tells whether two names differ at most in `-` and `_`.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let plain = |byte| if byte == b'-' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// Lists what there is.
pub(super) fn listed(header: &[String]) -> String {
    let delimiters = [('\t', "--format tsv"), (';', "--delimiter ';'"), ('|', "--delimiter '|'")];
    let other = match header {
        [only] => delimiters.into_iter().find(|(delimiter, _)| only.contains(*delimiter)),
        _ => None,
    };
    match other {
        Some((_, flag)) => format!("there is only {:?}, which {flag} would split", header[0]),
        None => format!("there are {}", header.join(", ")),
    }
}

fn nearby(wanted: &str, header: &[String]) -> String {
    suggestion(wanted, header.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_are_underscores() {
        for (a, b, same) in [("a-b", "a_b", true), ("a_b", "a_b", true), ("a-b", "ab", false), ("A", "a", false)] {
            assert_eq!(alike(a, b), same, "{a} and {b}");
        }
    }

    #[test]
    fn a_row_that_was_not_split_names_the_flag_that_would() {
        for (only, flag) in [("a\tb", "--format tsv"), ("a;b", "--delimiter ';'")] {
            let problem = find("a", &[only.to_owned()]).unwrap_err();
            assert_eq!(problem, format!("there is no column \"a\"; there is only {only:?}, which {flag} would split"));
        }
        assert_eq!(listed(&["a;b".to_owned(), "c".to_owned()]), "there are a;b, c");
    }

    #[test]
    fn by_name_then_by_number() {
        let header = ["temp", "2", "humid", "temp"].map(str::to_owned);
        for (wanted, found) in [
            ("humid", Ok(2)),
            ("2", Ok(1)),
            ("1", Ok(0)),
            ("4", Ok(3)),
            ("0", Err("there is no column 0; the columns are numbered from 1 to 4")),
            ("5", Err("there is no column 5; the columns are numbered from 1 to 4")),
            ("temp", Err("there are several columns \"temp\": use a number, such as 1 or 4")),
            ("humit", Err("there is no column \"humit\"; there are temp, 2, humid, temp; did you mean \"humid\"?")),
        ] {
            assert_eq!(find(wanted, &header), found.map_err(str::to_owned), "{wanted}");
        }
    }
}
