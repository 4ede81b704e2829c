//! Files that NumPy has written (`npy/make.py` says how), and files as it would write them.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use ganger::{Error, ErrorKind, SharedArray};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "npy", &format!("{name}.npy")].iter().collect()
}

/// A file of the test's own, which is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("ganger-npy-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn every_version_and_order_is_read() {
    for name in ["f8", "f8-version-2", "f8-version-3", "f8-big", "f8-fortran"] {
        let array = SharedArray::<f64, 2>::load_npy(path(name)).unwrap();
        assert_eq!((array.shape(), array.to_vec().unwrap()), ([3, 2], vec![0.5, 1.5, 2.5, 3.5, 4.5, 5.5]), "{name}");
    }
    let array = SharedArray::<i16, 3>::load_npy(path("i2-big-fortran")).unwrap();
    assert_eq!((array.shape(), array.to_vec().unwrap()), ([2, 3, 4], (0..24).collect::<Vec<i16>>()));
    assert_eq!(SharedArray::<u8, 1>::load_npy(path("u1")).unwrap().to_vec().unwrap(), [0, 1, 2, 3, 4]);
    let complex = SharedArray::<[f64; 2], 1>::load_npy(path("c16")).unwrap();
    assert_eq!(complex.to_vec().unwrap(), [[1.0, 2.0], [3.0, -4.0]]);
}

#[test]
fn what_is_written_is_what_numpy_would_have_written() {
    let array = SharedArray::from_fn([3, 2], |[i, j]| (2 * i + j) as f64 + 0.5).unwrap();
    let scratch = Scratch::new("f8", b"older");
    array.save_npy(&scratch.0).unwrap();
    assert_eq!(std::fs::read(&scratch.0).unwrap(), std::fs::read(path("f8")).unwrap());
    let mut bytes = Vec::new();
    let complex = SharedArray::from_vec([2], [[1.0, 2.0], [3.0, -4.0]]).unwrap();
    complex.seal().unwrap().write_npy(&mut bytes).unwrap();
    assert_eq!(bytes, std::fs::read(path("c16")).unwrap());
    // Some of the rows are an array of their own, and what follows an array in a stream is left there.
    bytes.clear();
    array.part(1..2).unwrap().write_npy(&mut bytes).unwrap();
    array.write_npy(&mut bytes).unwrap();
    let mut stream = bytes.as_slice();
    assert_eq!(SharedArray::<f64, 2>::read_npy(&mut stream).unwrap().to_vec().unwrap(), [2.5, 3.5]);
    assert_eq!(SharedArray::<f64, 2>::read_npy(&mut stream).unwrap().shape(), [3, 2]);
    assert!(stream.is_empty());
}

fn kind_and_text<T>(outcome: Result<T, Error>) -> (ErrorKind, String) {
    let error = outcome.map(drop).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn other_types_and_shapes_are_mismatches_that_name_both_sides() {
    for (name, parts) in [
        ("f8", ["1 dimension(s) and type f32 was expected", "shape [3, 2] and type f64"]),
        ("u1", ["1 dimension(s) and type f32 was expected", "shape [5] and type u8"]),
        ("bool", ["type f32 was expected", "shape [2] and type bool"]),
        ("scalar", ["1 dimension(s)", "shape [] and type f64"]),
        ("f2", ["\"<f2\"", "no array can hold"]),
        ("records", ["records of several fields", "numbers of one type"]),
    ] {
        let (kind, text) = kind_and_text(SharedArray::<f32, 1>::load_npy(path(name)));
        assert_eq!(kind, ErrorKind::Mismatch, "{name}");
        assert!(text.contains(&format!("{name}.npy")) && parts.iter().all(|part| text.contains(part)), "{text}");
    }
    assert_eq!(kind_and_text(SharedArray::<f64, 2>::load_npy(path("empty"))).0, ErrorKind::InvalidSetting);
    let mut bytes = Vec::new();
    let strange = SharedArray::<[u8; 3], 1>::zeros([2]).unwrap().write_npy(&mut bytes);
    assert_eq!(kind_and_text(strange).0, ErrorKind::Mismatch);
}

#[test]
fn what_is_cut_off_or_lies_is_refused_and_costs_no_memory() {
    let whole = std::fs::read(path("f8")).unwrap();
    for length in [0, 5, 9, 60, whole.len() - 48, whole.len() - 1] {
        let (kind, text) = kind_and_text(SharedArray::<f64, 2>::read_npy(&whole[..length]));
        assert_eq!((kind, text.contains("it ends within")), (ErrorKind::NotDeserializable, true), "{length}: {text}");
        let scratch = Scratch::new("cut", &whole[..length]);
        assert_eq!(kind_and_text(SharedArray::<f64, 2>::load_npy(&scratch.0)).0, ErrorKind::NotDeserializable);
    }
    for shape in ["(1000000000000, 1)", "(4294967296, 4294967296)"] {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        let bytes = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), &[0; 16]].concat();
        let scratch = Scratch::new("lie", &bytes);
        assert!(SharedArray::<f64, 2>::load_npy(&scratch.0).is_err());
        assert!(SharedArray::<f64, 2>::read_npy(bytes.as_slice()).is_err(), "takes up what has come, and no more");
    }
    assert_eq!(kind_and_text(SharedArray::<f64, 2>::load_npy("/no/such.npy")).0, ErrorKind::System);
    assert_eq!(kind_and_text(SharedArray::<f64, 2>::load_npy("/proc/self/exe")).0, ErrorKind::NotDeserializable);
}
