//! What can be run as a task: functions, closures that capture nothing, and functions with bound arguments.

use std::any::type_name;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::Arc;

use ganger_os::image::{EntryPoint, Handler, ImageError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::codec::{self, CodecError};
use crate::wire::descriptor::{self, Descriptor, Parcel, Part};
use crate::wire::message::{Call, Status};
use crate::worker::{context, run_fail};

/// What a task's function may return: a value, or a `Result` whose error can be shown.
///
/// `R` is the value that the pool's caller gets: of an `i64` it is the `i64`, of a `Result<i64, E>` it is the `i64` too,
/// and an `Err` becomes the outcome [`Failed`](crate::TaskErrorKind::Failed) with the error's text. (A `Result` whose both
/// sides can be serialized may also travel as it is; so name the type that you want: `let v: Vec<i64> = pool.map(..)?`.)
#[diagnostic::on_unimplemented(
    message = "a task that returns `{Self}` does not give values of type `{R}`",
    note = "the value must implement serde's `Serialize` and `DeserializeOwned`; an error must implement `Display`"
)]
pub trait Returns<R> {
    /// The value, or the text of the failure.
    ///
    /// # Errors
    /// When the task failed.
    fn outcome(self) -> Result<R, String>;
}

impl<R> Returns<R> for R {
    fn outcome(self) -> Result<R, String> {
        Ok(self)
    }
}

impl<R, E: Display> Returns<R> for Result<R, E> {
    fn outcome(self) -> Result<R, String> {
        self.map_err(|error| error.to_string())
    }
}

/// What can be run as a task with arguments `Args` (a tuple) and a value of type `R`.
///
/// It is implemented for functions and for closures that capture nothing, with up to 8 arguments; for [`partial`] and
/// [`broadcast`](crate::broadcast()); for what
/// [`Builder::fork_with`](crate::Builder::fork_with) returns; and for [tasks by name](crate::registry::Named). Arguments
/// and values travel as bytes, so they must be owned: `String` rather than `&str`.
///
/// A closure must not capture. The compiler says so for everything that has a size; a zero-sized *proof token* (a
/// copyable value that stands for something having been done in this process) it cannot see, and such a token must not be
/// captured either, as the worker is another process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run as a task with arguments `{Args}`",
    note = "a task is a function, or a closure that captures nothing, whose arguments match; \
            bind further arguments with `ganger::partial`"
)]
pub trait Task<Args, R> {
    #[doc(hidden)]
    fn prepare(&self, pool: u64) -> Result<Prepared, Unfit>;

    #[doc(hidden)]
    fn encode(arguments: &Args, out: &mut Vec<u8>) -> Result<(), CodecError>;

    #[doc(hidden)]
    fn decode(bytes: &[u8]) -> Result<R, CodecError>;
}

/// A task, ready to travel.
#[doc(hidden)]
#[derive(Debug)]
pub struct Prepared {
    pub(crate) call: Call,
    /// Those of the bound arguments.
    pub(crate) descriptors: Vec<Descriptor>,
    pub(crate) name: Arc<str>,
    /// Equal for equal functions: they take about the same time.
    pub(crate) function: u64,
}

/// Why a task cannot travel.
#[doc(hidden)]
#[derive(Debug)]
pub enum Unfit {
    Image(ImageError),
    Bound(CodecError),
    /// Captured data of another pool.
    ForeignPool,
    /// Why its shared value cannot be sent.
    Shared(String),
}

impl Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(error) => write!(f, "cannot be run by workers: {error}"),
            Self::Bound(error) => write!(f, "has bound arguments that cannot be serialized: {error}"),
            Self::Shared(why) => write!(f, "shares {why}"),
            Self::ForeignPool => f.write_str("captures data that only the workers of another pool have"),
        }
    }
}

impl Prepared {
    pub(crate) fn new(entry: EntryPoint, bound: Parcel, name: &str) -> Self {
        let Parcel { bytes, descriptors } = bound;
        let call = Call::new(entry, bytes, &descriptors);
        Self { call, descriptors, name: name.into(), function: entry.to_wire() }
    }
}

/// Encodes arguments, one after the other.
macro_rules! encoded {
    ($arguments:ident, $out:ident) => {
        codec::encode($arguments, $out)
    };
    ($arguments:ident, $out:ident, $($value:ident),+) => {{
        let ($($value,)+) = $arguments;
        $(codec::encode_value($value, $out)?;)+
        Ok(())
    }};
}

/// Decodes the arguments that `Task::encode` wrote, one after the other.
macro_rules! decoded {
    ($bytes:ident) => {
        codec::decode_arguments::<()>($bytes)
    };
    ($bytes:ident, $($arg:ident),+) => {
        (|| {
            let mut rest = $bytes;
            let arguments = ($(codec::decode_argument::<$arg>(&mut rest)?,)+);
            codec::at_end(rest).map(|()| arguments)
        })()
    };
}

/// Marks a handler of functions with these bound and these further arguments.
struct Calls<Bound, Args, R>(PhantomData<(Bound, Args, R)>);

/// Finishes a call: encodes its value, or says why there is none.
pub(crate) fn finish<R: Serialize + 'static>(outcome: Result<R, String>, out: &mut Vec<u8>) -> u8 {
    match outcome {
        Ok(value) => match descriptor::encode_result(out.len(), || codec::encode_value(&value, out)) {
            Ok(()) => Status::Value as u8,
            Err(error) => {
                let text = format!("has a result ({}) that cannot be serialized: {error}", type_name::<R>());
                run_fail(out, Status::NotSerializable, &text)
            }
        },
        Err(text) => run_fail(out, Status::Failed, &text),
    }
}

pub(crate) fn unreadable<T>(what: &str, error: &CodecError, out: &mut Vec<u8>) -> u8 {
    let text = format!("has {what} ({}) that cannot be deserialized: {error}", type_name::<T>());
    run_fail(out, Status::NotDeserializable, &text)
}

macro_rules! callable {
    ($($arg:ident $value:ident),*) => {
        impl<F, O, R, $($arg),*> Task<($($arg,)*), R> for F
        where
            F: Fn($($arg),*) -> O + Copy + Send + Sync + 'static,
            O: Returns<R>,
            R: Serialize + DeserializeOwned + 'static,
            $($arg: Serialize + DeserializeOwned + 'static,)*
        {
            fn prepare(&self, _pool: u64) -> Result<Prepared, Unfit> {
                let entry = EntryPoint::new::<F, Calls<(), ($($arg,)*), R>>(*self).map_err(Unfit::Image)?;
                Ok(Prepared::new(entry, Parcel::default(), type_name::<F>()))
            }

            fn encode(arguments: &($($arg,)*), out: &mut Vec<u8>) -> Result<(), CodecError> {
                encoded!(arguments, out $(, $value)*)
            }

            fn decode(bytes: &[u8]) -> Result<R, CodecError> {
                codec::decode_value(bytes)
            }
        }

        impl<F, O, R, $($arg),*> Handler<F> for Calls<(), ($($arg,)*), R>
        where
            F: Fn($($arg),*) -> O,
            O: Returns<R>,
            R: Serialize + 'static,
            $($arg: DeserializeOwned + 'static,)*
        {
            fn handle(function: F, _bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
                match decoded!(arguments $(, $arg)*) {
                    Ok(($($value,)*)) => {
                        descriptor::arrived();
                        finish(function($($value),*).outcome(), out)
                    }
                    Err(error) => unreadable::<($($arg,)*)>("arguments", &error, out),
                }
            }
        }
    };
}

macro_rules! bindable {
    ($($bound:ident $first:ident),+; $($arg:ident $value:ident),*) => {
        impl<F, O, R, $($bound,)+ $($arg),*> Task<($($arg,)*), R> for Partial<F, ($($bound,)+)>
        where
            F: Fn($($bound,)+ $($arg),*) -> O + Copy + Send + Sync + 'static,
            O: Returns<R>,
            R: Serialize + DeserializeOwned + 'static,
            $($bound: Serialize + DeserializeOwned,)+
            $($arg: Serialize + DeserializeOwned + 'static,)*
        {
            fn prepare(&self, _pool: u64) -> Result<Prepared, Unfit> {
                let entry = EntryPoint::new::<F, Calls<($($bound,)+), ($($arg,)*), R>>(self.function)
                    .map_err(Unfit::Image)?;
                let bound = codec::encode_parcel(Part::Bound, &self.bound).map_err(Unfit::Bound)?;
                Ok(Prepared::new(entry, bound, type_name::<F>()))
            }

            fn encode(arguments: &($($arg,)*), out: &mut Vec<u8>) -> Result<(), CodecError> {
                encoded!(arguments, out $(, $value)*)
            }

            fn decode(bytes: &[u8]) -> Result<R, CodecError> {
                codec::decode_value(bytes)
            }
        }

        impl<F, O, R, $($bound,)+ $($arg),*> Handler<F> for Calls<($($bound,)+), ($($arg,)*), R>
        where
            F: Fn($($bound,)+ $($arg),*) -> O,
            O: Returns<R>,
            R: Serialize + 'static,
            $($bound: DeserializeOwned,)+
            $($arg: DeserializeOwned + 'static,)*
        {
            fn handle(function: F, bound: &[u8], arguments: &[u8], out: &mut Vec<u8>) -> u8 {
                let ($($first,)+) = match codec::decode_arguments::<($($bound,)+)>(bound) {
                    Ok(bound) => bound,
                    Err(error) => return unreadable::<($($bound,)+)>("bound arguments", &error, out),
                };
                match decoded!(arguments $(, $arg)*) {
                    Ok(($($value,)*)) => {
                        descriptor::arrived();
                        finish(function($($first,)+ $($value),*).outcome(), out)
                    }
                    Err(error) => unreadable::<($($arg,)*)>("arguments", &error, out),
                }
            }
        }
    };
}

callable!();
callable!(A a);
callable!(A a, B b);
callable!(A a, B b, C c);
callable!(A a, B b, C c, D d);
callable!(A a, B b, C c, D d, E e);
callable!(A a, B b, C c, D d, E e, G g);
callable!(A a, B b, C c, D d, E e, G g, H h);
callable!(A a, B b, C c, D d, E e, G g, H h, I i);

bindable!(P p;);
bindable!(P p; A a);
bindable!(P p; A a, B b);
bindable!(P p; A a, B b, C c);
bindable!(P p, Q q;);
bindable!(P p, Q q; A a);
bindable!(P p, Q q; A a, B b);
bindable!(P p, Q q; A a, B b, C c);
bindable!(P p, Q q, S s;);
bindable!(P p, Q q, S s; A a);
bindable!(P p, Q q, S s; A a, B b);
bindable!(P p, Q q, S s; A a, B b, C c);
bindable!(P p, Q q, S s, T t;);
bindable!(P p, Q q, S s, T t; A a);
bindable!(P p, Q q, S s, T t; A a, B b);
bindable!(P p, Q q, S s, T t; A a, B b, C c);

/// A function whose first arguments are bound; [`partial`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Partial<F, Bound> {
    function: F,
    bound: Bound,
}

/// Binds the first arguments of `function`, as Python's `functools.partial` does: 1 to 4 of them, a tuple.
///
/// The bound arguments are serialized once, and sent once to each worker, however many tasks there are.
///
/// ```
/// fn name(width: u32, height: u32, prefix: String, number: u32) -> String {
///     format!("{prefix}{number}_{width}x{height}")
/// }
/// let pool = ganger::Pool::new(2)?;
/// let names = pool.map(ganger::partial(name, (100, 80, "image_".to_owned())), 0..2000)?;
/// assert_eq!(names[1999], "image_1999_100x80");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub const fn partial<F, Bound>(function: F, bound: Bound) -> Partial<F, Bound> {
    Partial { function, bound }
}

/// What a worker can run before its first task or after its last: a function, or a closure that captures nothing, of 0 to 4 arguments,
/// which returns an `O`.
pub trait Setup<Args, O> {
    #[doc(hidden)]
    fn prepare<K: Keep<O>>(&self, arguments: &Args) -> Result<SetupCall, Unfit>;
}

/// A call of a [`Setup`].
#[doc(hidden)]
#[derive(Debug)]
pub struct SetupCall(pub(crate) EntryPoint, pub(crate) Parcel);

/// What becomes of what a [`Setup`] returned.
#[doc(hidden)]
pub trait Keep<O>: 'static {
    fn keep(output: O, out: &mut Vec<u8>) -> u8;
}

/// It is the worker's state.
#[doc(hidden)]
#[derive(Debug)]
pub(crate) struct AsState;

impl<S: 'static> Keep<S> for AsState {
    fn keep(state: S, _out: &mut Vec<u8>) -> u8 {
        context::set_state(state);
        Status::Value as u8
    }
}

/// It is the worker's state, or the reason why there is none.
#[doc(hidden)]
#[derive(Debug)]
pub(crate) struct AsResult;

impl<S: 'static, E: Display> Keep<Result<S, E>> for AsResult {
    fn keep(state: Result<S, E>, out: &mut Vec<u8>) -> u8 {
        match state {
            Ok(state) => AsState::keep(state, out),
            Err(error) => run_fail(out, Status::Failed, &error.to_string()),
        }
    }
}

/// It is the last result of the worker.
#[doc(hidden)]
#[derive(Debug)]
pub(crate) struct AsValue;

impl<R: Serialize + 'static> Keep<R> for AsValue {
    fn keep(value: R, out: &mut Vec<u8>) -> u8 {
        finish(Ok(value), out)
    }
}

/// It is the last result of the worker, or the reason why there is none.
#[doc(hidden)]
#[derive(Debug)]
pub(crate) struct AsOutcome;

impl<R: Serialize + 'static, E: Display> Keep<Result<R, E>> for AsOutcome {
    fn keep(outcome: Result<R, E>, out: &mut Vec<u8>) -> u8 {
        finish(outcome.map_err(|error| error.to_string()), out)
    }
}

/// Marks the handler of an initializer or an exit hook.
struct Readies<Args, O, K>(PhantomData<(Args, O, K)>);

macro_rules! setup {
    ($($arg:ident $value:ident),*) => {
        impl<F, O, $($arg),*> Setup<($($arg,)*), O> for F
        where
            F: Fn($($arg),*) -> O + Copy + Send + Sync + 'static,
            $($arg: Serialize + DeserializeOwned,)*
        {
            fn prepare<K: Keep<O>>(&self, arguments: &($($arg,)*)) -> Result<SetupCall, Unfit> {
                let entry = EntryPoint::new::<F, Readies<($($arg,)*), O, K>>(*self).map_err(Unfit::Image)?;
                Ok(SetupCall(entry, codec::encode_parcel(Part::Own, arguments).map_err(Unfit::Bound)?))
            }
        }

        impl<F, O, K, $($arg),*> Handler<F> for Readies<($($arg,)*), O, K>
        where
            F: Fn($($arg),*) -> O,
            K: Keep<O>,
            $($arg: DeserializeOwned,)*
        {
            fn handle(function: F, bound: &[u8], _arguments: &[u8], out: &mut Vec<u8>) -> u8 {
                let ($($value,)*) = match codec::decode_arguments::<($($arg,)*)>(bound) {
                    Ok(bound) => bound,
                    Err(error) => return unreadable::<($($arg,)*)>("arguments", &error, out),
                };
                descriptor::arrived();
                K::keep(function($($value),*), out)
            }
        }
    };
}

setup!();
setup!(A a);
setup!(A a, B b);
setup!(A a, B b, C c);
setup!(A a, B b, C c, D d);
