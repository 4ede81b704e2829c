//! Bytes to frames, where at most one frame is on its way.

use std::borrow::Cow;

use super::protocol::{Malformed, PREFIX, claimed};

/// Adds bytes to the part of a frame that has come before; returns the body once it is there as a whole.
///
/// Memory grows with what has come, never by what the frame claims. More than one frame is malformed: its sender has not
/// waited for the answer.
pub(super) fn gather<'a>(
    partial: &mut Vec<u8>,
    bytes: &'a [u8],
    limit: usize,
) -> Result<Option<Cow<'a, [u8]>>, Malformed> {
    let whole = if partial.is_empty() {
        Cow::Borrowed(bytes)
    } else {
        partial.extend(bytes);
        Cow::Owned(std::mem::take(partial))
    };
    let Some(length) = claimed(&whole) else {
        *partial = whole.into_owned();
        return Ok(None);
    };
    let have = whole.len() - PREFIX;
    if length > limit || have > length {
        return Err(Malformed);
    }
    if have < length {
        *partial = whole.into_owned();
        return Ok(None);
    }
    Ok(Some(match whole {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[PREFIX..]),
        Cow::Owned(mut bytes) => {
            bytes.drain(..PREFIX);
            Cow::Owned(bytes)
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_come_in() {
        let frame = [5, 0, 0, 0, 1, 2, 3, 4, 5];
        for size in 1..=frame.len() {
            let mut partial = Vec::new();
            let mut pieces = frame.chunks(size).map(|piece| gather(&mut partial, piece, 5).expect("sound"));
            let body = pieces.by_ref().flatten().next().expect("whole");
            assert_eq!(*body, [1, 2, 3, 4, 5], "pieces of {size}");
            assert!(pieces.next().is_none());
            assert!(partial.is_empty());
        }
    }

    #[test]
    fn what_is_too_long_or_too_much_is_refused_at_once() {
        for bytes in [&[6, 0, 0, 0][..], &[255; 4], &[1, 0, 0, 0, 1, 2], &[0, 0, 0, 0, 1]] {
            assert_eq!(gather(&mut Vec::new(), bytes, 5), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(gather(&mut Vec::new(), &[0; 4], 5), Ok(Some(Cow::Borrowed(&[][..]))), "an empty one is a frame");
    }
}
