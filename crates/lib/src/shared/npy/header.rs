//! The header of a `.npy` file: a mark, a version, and a dictionary in Python's notation with exactly three entries.
//!
//! Files come from anywhere, so nothing is believed: the header is limited, and sizes are checked before they are used.

use std::io::Read;

use super::super::dtype::{DType, Kind};
use crate::error::{Error, ErrorKind};

const MARK: &[u8; 6] = b"\x93NUMPY";
/// A header of more bytes belongs to a table with very many columns, which is no array of numbers.
const MOST: usize = 64 * 1024;
/// NumPy itself has no more.
const MOST_DIMENSIONS: usize = 64;

/// What a file says about the data behind its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    /// Whether its bytes are in the other order than this machine's.
    pub(super) swapped: bool,
    /// Whether the first index moves fastest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// Reads one.
    pub(super) fn read(input: &mut impl Read) -> Result<Self, Error> {
        let mut start = [0; 8];
        fill(input, &mut start, "its mark")?;
        let (mark, version) = start.split_at(MARK.len());
        if mark != MARK {
            return Err(broken("it does not begin with NumPy's mark"));
        }
        let length = match version[0] {
            1 => {
                let mut length = [0; 2];
                fill(input, &mut length, "the length of its header")?;
                usize::from(u16::from_le_bytes(length))
            }
            2 | 3 => {
                let mut length = [0; 4];
                fill(input, &mut length, "the length of its header")?;
                u32::from_le_bytes(length) as usize
            }
            other => return Err(broken(&format!("its version is {other}.{}, and 1 to 3 are known", version[1]))),
        };
        if length > MOST {
            return Err(broken(&format!("its header has {length} bytes, more than {MOST}")));
        }
        let mut text = vec![0; length];
        fill(input, &mut text, "its header")?;
        let text = String::from_utf8(text).map_err(|error| broken(&format!("its header is no text: {error}")))?;
        Self::parse(&text)
    }

    /// Reads the dictionary.
    fn parse(text: &str) -> Result<Self, Error> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        let mut rest = Rest(text);
        rest.expect('{')?;
        while !rest.take('}') {
            match rest.string()? {
                "descr" if rest.colon()? => descr = Some(rest.descr()?),
                "fortran_order" if rest.colon()? => fortran = Some(rest.boolean()?),
                "shape" if rest.colon()? => shape = Some(rest.numbers()?),
                other => return Err(broken(&format!("its header has the unknown entry {other:?}"))),
            }
            if !rest.take(',') {
                rest.expect('}')?;
                break;
            }
        }
        if !rest.0.trim().is_empty() {
            return Err(broken("there is more than a dictionary in its header"));
        }
        let missing = |entry: &str| broken(&format!("its header has no entry {entry:?}"));
        let (dtype, swapped) = descr.ok_or_else(|| missing("descr"))?;
        let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
        Ok(Self { dtype, swapped, fortran, shape: shape.ok_or_else(|| missing("shape"))? })
    }

    /// The bytes that stand in front of the data, for C order and this machine's order of bytes.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': (", descr(self.dtype)?);
        self.shape.iter().for_each(|length| text += &format!("{length}, "));
        if self.shape.len() > 1 {
            text.truncate(text.len() - 2);
        } else {
            text.truncate(text.trim_end().len());
        }
        text += "), }";
        // The data begins at a multiple of 64, as NumPy has it, so that it can be mapped.
        let before = MARK.len() + 4;
        let length = (before + text.len() + 1).next_multiple_of(64) - before;
        text.extend(std::iter::repeat_n(' ', length - text.len() - 1));
        text.push('\n');
        let length = u16::try_from(length).map_err(|_| {
            Error::new(ErrorKind::InvalidSetting, "an array of so many dimensions cannot be written to a .npy file")
        })?;
        Ok([MARK, &[1, 0][..], &length.to_le_bytes(), text.as_bytes()].concat())
    }
}

/// Fills `bytes`; `what` names them.
pub(super) fn fill(input: &mut impl Read, bytes: &mut [u8], what: &str) -> Result<(), Error> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => broken(&format!("it ends within {what}")),
        _ => super::super::block::system("read a .npy file", error),
    })
}

/// An error about what is no such file.
pub(super) fn broken(why: &str) -> Error {
    Error::new(ErrorKind::NotDeserializable, format!("this is no .npy file that can be read: {why}"))
}

/// NumPy's name for a type.
fn descr(dtype: DType) -> Result<String, Error> {
    let (letter, numbers) = match (dtype.kind, dtype.size, dtype.count) {
        (Kind::Bool, 1, 1) => ('b', 1),
        (Kind::Unsigned, 1..=8, 1) => ('u', 1),
        (Kind::Signed, 1..=8, 1) => ('i', 1),
        (Kind::Float, 1..=8, 1) => ('f', 1),
        (Kind::Float, 1..=8, 2) => ('c', 2),
        _ => return Err(Error::new(ErrorKind::Mismatch, format!("NumPy has no numbers of type {dtype}"))),
    };
    let order = if dtype.size == 1 {
        '|'
    } else if cfg!(target_endian = "little") {
        '<'
    } else {
        '>'
    };
    Ok(format!("{order}{letter}{}", dtype.size * numbers))
}

/// The type that NumPy's name means, and whether its bytes are in the other order than this machine's.
fn dtype(descr: &str) -> Option<(DType, bool)> {
    let mut letters = descr.chars();
    let little = match letters.next()? {
        '<' => true,
        '>' => false,
        '|' | '=' => cfg!(target_endian = "little"),
        _ => return None,
    };
    let kind = letters.next()?;
    let size: usize = letters.as_str().parse().ok()?;
    let dtype = match (kind, size) {
        ('b', 1) => DType::new(Kind::Bool, 1),
        ('u', 1 | 2 | 4 | 8) => DType::new(Kind::Unsigned, size),
        ('i', 1 | 2 | 4 | 8) => DType::new(Kind::Signed, size),
        ('f', 4 | 8) => DType::new(Kind::Float, size),
        ('c', 8 | 16) => DType::new(Kind::Float, size / 2).times(2),
        _ => return None,
    };
    Some((dtype, dtype.size > 1 && little != cfg!(target_endian = "little")))
}

/// What is left of a header.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, sign: char) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(sign);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, sign: char) -> Result<(), Error> {
        if self.take(sign) {
            return Ok(());
        }
        let found: String = self.0.chars().take(20).collect();
        Err(broken(&format!("its header has {found:?} where {sign:?} should be")))
    }

    fn colon(&mut self) -> Result<bool, Error> {
        self.expect(':').map(|()| true)
    }

    fn string(&mut self) -> Result<&'a str, Error> {
        let quote = if self.take('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect(quote)?;
        }
        let (text, rest) = self.0.split_once(quote).ok_or_else(|| broken("its header has a text without an end"))?;
        self.0 = rest;
        Ok(text)
    }

    fn descr(&mut self) -> Result<(DType, bool), Error> {
        if self.take('[') {
            let text = "it has records of several fields, and arrays have numbers of one type";
            return Err(Error::new(ErrorKind::Mismatch, text));
        }
        let name = self.string()?;
        dtype(name).ok_or_else(|| {
            let text = format!("it has elements of NumPy's type {name:?}, which no array can hold");
            Error::new(ErrorKind::Mismatch, text)
        })
    }

    fn word(&mut self) -> &'a str {
        self.0 = self.0.trim_start();
        let end = self.0.find(|sign: char| !sign.is_ascii_alphanumeric()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            other => Err(broken(&format!("its header has {other:?} where True or False should be"))),
        }
    }

    fn numbers(&mut self) -> Result<Vec<usize>, Error> {
        let mut numbers = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            let word = self.word();
            // Python 2 wrote long integers with an L.
            let number = word.strip_suffix('L').unwrap_or(word).parse();
            numbers.push(number.map_err(|_| broken(&format!("its header has the length {word:?}")))?);
            if numbers.len() > MOST_DIMENSIONS {
                return Err(broken(&format!("it has more than {MOST_DIMENSIONS} dimensions")));
            }
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, text: &str) -> Vec<u8> {
        let length = text.len() as u32;
        let length = if version == 1 { &length.to_le_bytes()[..2] } else { &length.to_le_bytes()[..] };
        [MARK, &[version, 0][..], length, text.as_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Result<Header, Error> {
        Header::read(&mut &*bytes)
    }

    #[test]
    fn what_numpy_writes_is_understood() {
        for (text, dtype, swapped, fortran, shape) in [
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }  \n", "f64", false, false, vec![3, 2]),
            ("{\"shape\": (5L,), \"fortran_order\": True, \"descr\": \">c8\"}", "[f32; 2]", true, true, vec![5]),
            ("{ 'descr' :'|u1','fortran_order':False,'shape':()}", "u8", false, false, vec![]),
            ("{'descr': '=i2', 'fortran_order': False, 'shape': (0,), }", "i16", false, false, vec![0]),
            ("{'descr': '>b1', 'fortran_order': False, 'shape': (1,), }", "bool", false, false, vec![1]),
        ] {
            for version in 1..=3 {
                let header = read(&file(version, text)).expect(text);
                assert_eq!(header.dtype.to_string(), dtype);
                assert_eq!((header.swapped, header.fortran, header.shape), (swapped, fortran, shape.clone()), "{text}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (dtype, shape) in [
            (DType::new(Kind::Float, 8), vec![3, 2]),
            (DType::new(Kind::Unsigned, 1), vec![1]),
            (DType::new(Kind::Float, 4).times(2), vec![usize::MAX; 40]),
        ] {
            let header = Header { dtype, swapped: false, fortran: false, shape };
            let bytes = header.to_bytes().expect("NumPy has it");
            assert_eq!((bytes.len() % 64, bytes.last()), (0, Some(&b'\n')));
            assert_eq!(read(&bytes).expect("just written"), header);
        }
        let bytes = Header { dtype: DType::new(Kind::Float, 8), swapped: false, fortran: false, shape: vec![7] };
        let text = String::from_utf8_lossy(&bytes.to_bytes().expect("NumPy has it")).into_owned();
        assert!(text.contains("{'descr': '<f8', 'fortran_order': False, 'shape': (7,), }"), "{text}");
        let strange = Header { dtype: DType::new(Kind::Float, 8).times(3), ..bytes };
        assert_eq!(strange.to_bytes().expect_err("unknown").kind(), ErrorKind::Mismatch);
    }

    #[test]
    fn what_is_no_such_file_is_refused_by_its_reason() {
        let good = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }";
        for (text, reason) in [
            ("", "\"\" where '{'"),
            ("{'descr': '<f8', 'shape': (3,)}", "no entry \"fortran_order\""),
            ("{'fortran_order': True, 'shape': (3,)}", "no entry \"descr\""),
            ("{'descr': '<f8', 'fortran_order': False}", "no entry \"shape\""),
            ("{'descr': '<f8', 'other': 1}", "unknown entry \"other\""),
            ("{'descr': '<f8", "without an end"),
            ("{'descr' '<f8'}", "where ':'"),
            ("{'shape': (3,), } x", "more than a dictionary"),
            ("{'shape': (-3,)}", "the length \"\""),
            ("{'shape': (99999999999999999999999,)}", "the length \"9999"),
            ("{'shape': (1 2)}", "where ')'"),
            ("{'fortran_order': 1}", "\"1\" where True"),
            (&format!("{{'shape': ({})}}", "1,".repeat(65)), "more than 64 dimensions"),
        ] {
            let error = read(&file(1, text)).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::NotDeserializable);
            assert!(error.to_string().contains(reason), "{error}");
        }
        for (descr, reason) in [
            ("'<f2'", "\"<f2\""),
            ("'|O'", "\"|O\""),
            ("'<U5'", "\"<U5\""),
            ("'<M8[ns]'", "M8[ns]"),
            ("[('a', '<f8'), ('b', '<i4')]", "records"),
            ("''", "type \"\""),
        ] {
            let error = read(&file(1, &good.replace("'<f8'", descr))).expect_err(descr);
            assert_eq!(error.kind(), ErrorKind::Mismatch);
            assert!(error.to_string().contains(reason), "{error}");
        }
        let whole = file(1, good);
        for length in 0..whole.len() {
            let error = read(&whole[..length]).expect_err("too short");
            assert!(error.to_string().contains("it ends within"), "{length}: {error}");
        }
        let huge = [&MARK[..], &[2, 0, 255, 255, 255, 255]].concat();
        assert!(read(&huge).expect_err("huge").to_string().contains("4294967295 bytes"));
        assert!(read(&file(4, good)).expect_err("new").to_string().contains("version is 4.0"));
        assert!(read(b"\x93NUMPI\x01\x00").expect_err("other").to_string().contains("mark"));
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "[{}()':, a-zA-Z0-9<>|\\[\\]]{0,80}") {
            let _ = read(&file(1, &text));
        }
    }
}
