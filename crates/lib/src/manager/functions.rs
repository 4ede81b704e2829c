//! Functions that run in the server: what changes a value, makes an object of the user's, or calls a method of it.
//!
//! They travel as tasks do, as the offset of a shim in the executable.

use std::any::{Any, type_name};
use std::cell::RefCell;
use std::fmt::Display;
use std::marker::PhantomData;

use ganger_os::image::{EntryPoint, Handler, ImageError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::task::{Returns, unreadable};
use crate::wire::codec::{CodecError, decode, encode};
use crate::wire::message::Status;
use crate::worker::run_fail;

/// What a server can do with a `T` of its own: a function, or a closure that captures nothing, of `&mut T` and 0 to 4
/// further arguments (`Args`, a tuple), which returns an `R`, or a `Result` of it.
///
/// It runs in the server, where nothing else happens meanwhile: what it reads is what it changes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run by a manager with a `&mut {T}` and arguments `{Args}`",
    note = "it is a function, or a closure that captures nothing, of `&mut {T}` and of arguments that match; \
            what it needs beside is given as arguments"
)]
pub trait Method<T, Args, R>: Copy + Send + Sync + 'static {
    #[doc(hidden)]
    fn run(self, subject: &mut T, arguments: &[u8]) -> Result<Result<R, String>, CodecError>;
}

/// What makes an object of a type of the user's in a server: a function, or a closure that captures nothing, of 0 to 4
/// arguments (`Args`, a tuple), which returns a `T`, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make a `{T}` in a manager from arguments `{Args}`",
    note = "it is a function, or a closure that captures nothing, whose arguments match"
)]
pub trait Maker<Args, T>: Copy + Send + Sync + 'static {
    #[doc(hidden)]
    fn make(self, arguments: &[u8]) -> Result<Result<T, String>, CodecError>;
}

macro_rules! functions {
    ($($arg:ident $value:ident),*) => {
        impl<F, T, O, R, $($arg),*> Method<T, ($($arg,)*), R> for F
        where
            F: Fn(&mut T, $($arg),*) -> O + Copy + Send + Sync + 'static,
            O: Returns<R>,
            $($arg: DeserializeOwned,)*
        {
            fn run(self, subject: &mut T, arguments: &[u8]) -> Result<Result<R, String>, CodecError> {
                let ($($value,)*) = decode::<($($arg,)*)>(arguments)?;
                Ok(self(subject, $($value),*).outcome())
            }
        }

        impl<F, T, O, $($arg),*> Maker<($($arg,)*), T> for F
        where
            F: Fn($($arg),*) -> O + Copy + Send + Sync + 'static,
            O: Returns<T>,
            $($arg: DeserializeOwned,)*
        {
            fn make(self, arguments: &[u8]) -> Result<Result<T, String>, CodecError> {
                let ($($value,)*) = decode::<($($arg,)*)>(arguments)?;
                Ok(self($($value),*).outcome())
            }
        }
    };
}

functions!();
functions!(A a);
functions!(A a, B b);
functions!(A a, B b, C c);
functions!(A a, B b, C c, D d);

/// What is kept in the server for a `T`.
pub(super) trait Stored<T>: Serialize + DeserializeOwned + 'static {
    fn value(&mut self) -> &mut T;
}

impl<T: Serialize + DeserializeOwned + 'static> Stored<T> for T {
    fn value(&mut self) -> &mut T {
        self
    }
}

/// The entry point of `method` on a `T` that is kept as an `S`: bytes go in, and the new bytes and the result come out.
pub(super) fn altering<S, T, Args, R, F>(method: F) -> Result<EntryPoint, ImageError>
where
    S: Stored<T>,
    T: 'static,
    Args: 'static,
    R: Serialize + 'static,
    F: Method<T, Args, R>,
{
    EntryPoint::new::<F, Alters<S, T, Args, R>>(method)
}

/// The entry point of `method` on the server's own object.
pub(super) fn calling<T: 'static, Args, R: Serialize, F: Method<T, Args, R>>(
    method: F,
) -> Result<EntryPoint, ImageError> {
    EntryPoint::new::<F, Calls<T, Args, R>>(method)
}

/// The entry point of `maker`.
pub(super) fn making<T: 'static, Args, F: Maker<Args, T>>(maker: F) -> Result<EntryPoint, ImageError> {
    EntryPoint::new::<F, Makes<T, Args>>(maker)
}

struct Alters<S, T, Args, R>(PhantomData<(S, T, Args, R)>);
struct Calls<T, Args, R>(PhantomData<(T, Args, R)>);
struct Makes<T, Args>(PhantomData<(T, Args)>);

impl<S: Stored<T>, T, Args, R: Serialize, F: Method<T, Args, R>> Handler<F> for Alters<S, T, Args, R> {
    fn handle(function: F, bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
        let mut stored = match decode::<S>(bound) {
            Ok(stored) => stored,
            Err(error) => return unreadable::<T>("a value in the manager", &error, out),
        };
        let outcome = match function.run(stored.value(), arguments) {
            Ok(outcome) => outcome,
            Err(error) => return unreadable::<Args>("arguments", &error, out),
        };
        let mut changed = Vec::new();
        if let Err(error) = encode(&stored, &mut changed) {
            let text = format!("leaves a value ({}) that cannot be serialized: {error}", type_name::<T>());
            return run_fail(out, Status::NotSerializable, &text);
        }
        let status = finish(outcome, out);
        if status == Status::Value as u8 {
            let length = out.len() as u64;
            out.extend(changed);
            out.extend(length.to_le_bytes());
        }
        status
    }
}

/// As for tasks, but that no descriptor can go with the value: the manager would have to keep it open.
fn finish<R: Serialize>(outcome: Result<R, String>, out: &mut Vec<u8>) -> u8 {
    match outcome.map(|value| encode(&value, out)) {
        Ok(Ok(())) => Status::Value as u8,
        Ok(Err(error)) => {
            let text = format!("has a result ({}) that cannot be serialized: {error}", type_name::<R>());
            run_fail(out, Status::NotSerializable, &text)
        }
        Err(text) => run_fail(out, Status::Failed, &text),
    }
}

/// Splits what a function of [`altering`] has written into the result and the new bytes of the value.
pub(super) fn altered(written: &[u8]) -> Option<(&[u8], &[u8])> {
    let (written, length) = written.split_last_chunk()?;
    written.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

thread_local! {
    /// The object of the user's that the server's thread calls a method of, or has just made.
    static SUBJECT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Runs `call` while `subject` is what methods are called of.
pub(super) fn with_subject<R>(subject: &mut Option<Box<dyn Any>>, call: impl FnOnce() -> R) -> R {
    SUBJECT.with_borrow_mut(|place| std::mem::swap(place, subject));
    let result = call();
    SUBJECT.with_borrow_mut(|place| std::mem::swap(place, subject));
    result
}

impl<T: 'static, Args, R: Serialize, F: Method<T, Args, R>> Handler<F> for Calls<T, Args, R> {
    fn handle(function: F, _bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
        SUBJECT.with_borrow_mut(|place| {
            let Some(subject) = place.as_mut().and_then(|subject| subject.downcast_mut::<T>()) else {
                return run_fail(
                    out,
                    Status::Failed,
                    &format!("is no method of the object: that is no {}", type_name::<T>()),
                );
            };
            match function.run(subject, arguments) {
                Ok(outcome) => finish(outcome, out),
                Err(error) => unreadable::<Args>("arguments", &error, out),
            }
        })
    }
}

impl<T: 'static, Args, F: Maker<Args, T>> Handler<F> for Makes<T, Args> {
    fn handle(function: F, _bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
        match function.make(arguments) {
            Ok(Ok(made)) => {
                SUBJECT.with_borrow_mut(|place| *place = Some(Box::new(made)));
                Status::Value as u8
            }
            Ok(Err(text)) => run_fail(out, Status::Failed, &text),
            Err(error) => unreadable::<Args>("arguments", &error, out),
        }
    }
}

/// Says of which function a failure is: the text follows a name, as in "`double` panicked".
pub(super) fn told(status: Status, text: &dyn Display) -> String {
    match status {
        Status::Failed => text.to_string(),
        Status::Panicked => format!("the function panicked in the manager: {text}"),
        _ => format!("the function {text}"),
    }
}
