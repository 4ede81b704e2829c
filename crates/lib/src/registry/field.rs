//! What a record holds before it becomes an argument.

use std::borrow::Cow;

/// Holds one value of a record, as text or JSON, before it is converted to an argument's declared type.
///
/// The declared type decides, nothing is guessed: the text `007` stays `007` for a `String` and is 7 for an `i64`.
///
/// | declared type | accepts |
/// |---|---|
/// | numbers | the text of a number in range, blanks around it ignored; `inf` and `nan` for floats |
/// | `bool` | `true`, `false`, `1`, `0`, in any case, blanks around it ignored |
/// | `char` | exactly one character |
/// | `String`, `PathBuf` | any text, unchanged |
/// | `Option<T>` | [`Field::Missing`] is `None`, everything else is converted to `T`: an empty text is not missing |
/// | enums | the name of a variant without data; the others as JSON |
/// | lists, tuples | [`Field::List`] and [`Field::Record`] one by one; a text that is a JSON array |
/// | structs, maps | [`Field::Record`] by name, [`Field::List`] in order (structs); a text that is a JSON object |
///
/// A list or record of exactly one value is also accepted where a single value is wanted.
///
/// ```
/// use ganger::registry::{self, Field};
///
/// #[ganger::task]
/// fn longest(words: Vec<Option<String>>) -> usize {
///     words.iter().flatten().map(String::len).max().unwrap_or(0)
/// }
///
/// let task = registry::find("longest").expect("registered above");
/// for field in [
///     Field::List(vec![Field::text("007"), Field::Missing]),
///     Field::json(r#"["007", null]"#),
///     Field::text(r#"["007"]"#),
/// ] {
///     let mut result = Vec::new();
///     task.call(&task.encode(&[field])?, &mut result)?;
///     assert_eq!(result, b"3");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Field<'a> {
    /// No value: `None` for an `Option`, an error for everything else.
    Missing,
    /// A text that is converted to the declared type.
    Text(Cow<'a, str>),
    /// Several values without names.
    List(Vec<Field<'a>>),
    /// Several values with names.
    Record(Record<'a>),
    /// A JSON value, whose types must fit: the string `"7"` is no number, the number `7` is no string.
    Json(Json<'a>),
}

impl<'a> Field<'a> {
    /// Makes a field of a text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Field::Text(text.into())
    }

    /// Makes a field of the text of one JSON value. The text is checked when it is converted.
    pub fn json(text: impl Into<Cow<'a, str>>) -> Self {
        Field::Json(Json(text.into()))
    }

    /// Makes a field of several named values.
    ///
    /// # Panics
    /// When there are not as many names as values.
    pub fn record(names: &'a [String], values: Vec<Field<'a>>) -> Self {
        assert_eq!(names.len(), values.len(), "each value of a record has one name");
        Field::Record(Record { names, values })
    }
}

/// Holds the text of one JSON value, so that numbers keep all their digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<'a>(pub(super) Cow<'a, str>);

/// Holds named values, such as the columns of a CSV row.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    pub(super) names: &'a [String],
    pub(super) values: Vec<Field<'a>>,
}
