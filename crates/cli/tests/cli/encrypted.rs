//! Encrypted connections to a PostgreSQL server with a certificate of its own.

use crate::harness::{Place, finish};
use ganger_tests::{Certificate, Postgres};

#[test]
fn a_server_is_believed_or_verified_as_the_url_says() {
    let place = Place::new("encrypted");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("the name is right");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("the name is right");
    place.file("right.pem", &certificate);
    place.file("other.pem", other.cert.pem());
    place.file("none.pem", "");
    let Some(server) = Postgres::start_encrypted(&Certificate { certificate: &certificate, key: &key }) else { return };
    let unknown = "sslrootcert=FILE names the certificates to trust";
    for (host, parameters, encrypted, text) in [
        ("localhost", "", Some(true), "1 ok"),
        ("localhost", "?sslmode=disable", Some(false), "1 ok"),
        ("localhost", "?sslmode=require", Some(true), "1 ok"),
        ("localhost", "?sslmode=verify-full&sslrootcert=right.pem", Some(true), "1 ok"),
        ("localhost", "?sslmode=verify-full", None, unknown),
        ("localhost", "?sslmode=verify-full&sslrootcert=other.pem", None, unknown),
        ("localhost", "?sslmode=verify-full&sslrootcert=none.pem", None, unknown),
        ("localhost", "?sslmode=verify-full&sslrootcert=absent.pem", None, "sslrootcert=absent.pem: no certificates"),
        ("127.0.0.1", "?sslmode=verify-full&sslrootcert=right.pem", None, "by a name that its certificate has"),
    ] {
        let mut command = place.command();
        command.args(["map", "square", "--input-sql"]);
        command.arg("SELECT 2 + ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        command.env("GANGER_DB", server.encrypted_url(host) + parameters);
        let finished = finish(command, "");
        let found = match finished.out.as_str() {
            "9\n" => Some(true),
            "4\n" => Some(false),
            _ => None,
        };
        assert_eq!(found, encrypted, "{host} {parameters}: {}", finished.err);
        assert!(finished.err.contains(text), "{host} {parameters}: {}", finished.err);
    }
}
