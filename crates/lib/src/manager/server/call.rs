//! Calling functions of the program in the server.

use ganger_os::image::EntryPoint;

use crate::error::ErrorKind;
use crate::manager::functions::told;
use crate::manager::protocol::{Fault, Function, Secret, seal};
use crate::wire::codec::decode;
use crate::wire::message::{Failure, Status};
use crate::worker::panics::caught;

/// Who asks for an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// The connection.
    pub(super) token: u64,
    /// What seals its functions; none when it is not the same executable.
    pub(super) secret: Option<Secret>,
}

impl Caller {
    /// Calls `function`; what it has written.
    pub(super) fn call(&self, function: Function, bound: &[u8], arguments: &[u8]) -> Result<Vec<u8>, Fault> {
        let secret = self.secret.ok_or_else(|| {
            let text = "functions run in a manager only for clients that are the same executable: use operations that need \
                        none, as `add` and `compare_and_swap`";
            Fault::new(ErrorKind::Mismatch, text)
        })?;
        let shim = EntryPoint::from_wire(function.offset).resolve();
        let shim = shim.filter(|_| function.seal == seal(&secret, function.offset));
        let shim = shim.ok_or_else(|| Fault::new(ErrorKind::Mismatch, "this is no function of the program"))?;
        let mut out = Vec::new();
        let ended = caught(|| shim(bound, arguments, &mut out));
        let (status, failure) = match ended {
            Ok(byte) => match Status::from_byte(byte) {
                Some(Status::Value) => return Ok(out),
                status => (status.unwrap_or(Status::Failed), decode::<Failure>(&out).unwrap_or_default()),
            },
            Err(failure) => (Status::Panicked, failure),
        };
        let place = failure.location.map(|place| format!(" ({place})")).unwrap_or_default();
        Err(Fault::new(ErrorKind::Remote, told(status, &format_args!("{}{place}", failure.message))))
    }
}
