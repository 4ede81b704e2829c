//! Mutual proof of a shared key, for managers that listen.
//!
//! 1. The server sends a challenge: a mark and a nonce.
//! 2. The client sends a nonce of its own, which executable it is, and the HMAC-SHA256 of both nonces and that.
//! 3. The server sends a verdict: a byte, and, for a client that has the key, the HMAC-SHA256 of the same.
//!
//! The two HMACs are of different texts (whose it is stands in front), so that neither is an answer to the other: a
//! challenge cannot be handed back. All three messages have a fixed size, and who sends more is not heard.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

/// A random number that is used once.
pub(super) type Nonce = [u8; 32];

/// Which executable a process is.
pub(super) type Image = [u8; 32];

/// What a challenge begins with; changes with every change of the bytes.
const MARK: [u8; 8] = *b"GANGERM1";

/// The sizes of the three messages.
pub(super) const CHALLENGE: usize = 8 + 32;
pub(super) const PROOF: usize = 32 + 32 + 32;
pub(super) const VERDICT: usize = 1 + 32;

/// Whose proof it is.
#[derive(Clone, Copy, Debug)]
enum Side {
    Client,
    Server,
}

/// What both proofs are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    server: Nonce,
    client: Nonce,
    image: Image,
}

/// What the server sends first.
pub(super) fn challenge(server: &Nonce) -> [u8; CHALLENGE] {
    joined([&MARK[..], server])
}

/// The client's answer to a challenge.
///
/// # Errors
/// When it is none.
pub(super) fn prove(
    key: &[u8],
    challenge: &[u8; CHALLENGE],
    client: Nonce,
    image: Image,
) -> Result<(Exchange, [u8; PROOF]), Error> {
    let (mark, server) = challenge.split_first_chunk::<8>().expect("it is longer");
    if *mark != MARK {
        return Err(Error::new(ErrorKind::Authentication, "what listens at the address is no manager of this version"));
    }
    let server = server.try_into().expect("what is left is as long as a nonce");
    let exchange = Exchange { server, client, image };
    let proof = exchange.mac(key, Side::Client).finalize().into_bytes();
    Ok((exchange, joined([&client[..], &image, &proof])))
}

/// The server's verdict on a proof, and, when it is sound, which executable the client is.
pub(super) fn judge(key: &[u8], server: Nonce, proof: &[u8; PROOF]) -> ([u8; VERDICT], Option<Image>) {
    let (client, rest) = proof.split_first_chunk::<32>().expect("it is longer");
    let (image, mac) = rest.split_first_chunk::<32>().expect("it is longer");
    let exchange = Exchange { server, client: *client, image: *image };
    // Compared in constant time.
    if exchange.mac(key, Side::Client).verify_slice(mac).is_err() {
        return ([0; VERDICT], None);
    }
    let own = exchange.mac(key, Side::Server).finalize().into_bytes();
    (joined([&[1][..], &own]), Some(*image))
}

/// Checks the server's verdict.
///
/// # Errors
/// When the server has refused this client, or does not have the key itself.
pub(super) fn accept(key: &[u8], exchange: &Exchange, verdict: &[u8; VERDICT]) -> Result<(), Error> {
    let (status, mac) = verdict.split_first().expect("it is longer");
    if *status != 1 {
        return Err(Error::new(
            ErrorKind::Authentication,
            "the manager refused the connection: its key is another one",
        ));
    }
    let sound = exchange.mac(key, Side::Server).verify_slice(mac);
    sound.map_err(|_| {
        Error::new(ErrorKind::Authentication, "what listens at the address does not have the key: it is not trusted")
    })
}

/// This process's executable, as the server compares it.
pub(super) fn own_image() -> Image {
    static OWN: std::sync::OnceLock<Image> = std::sync::OnceLock::new();
    // Without `/proc` no two processes are known to be the same: such a name is nobody else's.
    *OWN.get_or_init(|| match ganger_os::image::fingerprint() {
        Ok(bytes) => Sha256::digest(bytes).into(),
        Err(_) => fresh_nonce().unwrap_or_default(),
    })
}

/// Makes a nonce.
pub(super) fn fresh_nonce() -> Result<Nonce, Error> {
    let mut nonce = [0; 32];
    ganger_os::random::fill(&mut nonce).map_err(|error| {
        Error::new(ErrorKind::System, "the system has no random numbers for a manager").with_source(error)
    })?;
    Ok(nonce)
}

impl Exchange {
    fn mac(&self, key: &[u8], side: Side) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
        let label: &[u8] = match side {
            Side::Client => b"ganger manager 1: the client has the key",
            Side::Server => b"ganger manager 1: the server has the key",
        };
        for part in [label, &self.server, &self.client, &self.image] {
            mac.update(part);
        }
        mac
    }
}

fn joined<const PARTS: usize, const SIZE: usize>(parts: [&[u8]; PARTS]) -> [u8; SIZE] {
    parts.concat().try_into().expect("the parts are as long as the whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"the key";

    fn exchanged(client_key: &[u8], server_key: &[u8]) -> (Option<Image>, Result<(), Error>) {
        let (exchange, proof) = prove(client_key, &challenge(&[1; 32]), [2; 32], [3; 32]).expect("a challenge");
        let (verdict, image) = judge(server_key, [1; 32], &proof);
        (image, accept(client_key, &exchange, &verdict))
    }

    #[test]
    fn both_sides_with_the_key_believe_each_other() {
        let (image, accepted) = exchanged(KEY, KEY);
        assert_eq!(image, Some([3; 32]));
        accepted.expect("the key is the same");
    }

    #[test]
    fn another_key_is_refused_by_both_sides() {
        for other in [&b"another key"[..], b"the ke", b"the key ", b""] {
            let (image, accepted) = exchanged(other, KEY);
            assert_eq!(image, None, "{other:?}");
            assert_eq!(accepted.expect_err("refused").kind(), ErrorKind::Authentication, "{other:?}");
        }
    }

    #[test]
    fn a_server_that_only_says_yes_is_refused() {
        let (exchange, proof) = prove(KEY, &challenge(&[1; 32]), [2; 32], [3; 32]).expect("a challenge");
        let own = &proof[64..];
        for mac in [&[0; 32][..], &[1; 32], own] {
            let verdict = joined([&[1][..], mac]);
            assert_eq!(accept(KEY, &exchange, &verdict).expect_err("refused").kind(), ErrorKind::Authentication);
        }
    }

    #[test]
    fn a_proof_is_for_one_challenge_and_every_bit_of_it_counts() {
        let (_, proof) = prove(KEY, &challenge(&[1; 32]), [2; 32], [3; 32]).expect("a challenge");
        assert!(judge(KEY, [1; 32], &proof).1.is_some());
        assert!(judge(KEY, [9; 32], &proof).1.is_none(), "another challenge");
        for place in 0..PROOF {
            let mut other = proof;
            other[place] ^= 1;
            assert!(judge(KEY, [1; 32], &other).1.is_none(), "byte {place}");
        }
    }

    #[test]
    fn what_is_no_challenge_gets_no_proof() {
        let error = prove(KEY, &[7; CHALLENGE], [2; 32], [3; 32]).expect_err("no mark");
        assert_eq!(error.kind(), ErrorKind::Authentication);
    }
}
