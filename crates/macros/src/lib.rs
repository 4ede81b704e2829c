//! The `#[ganger::task]` attribute.

mod check;
mod expand;
mod options;

use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Registers a function under a stable name, so that the command line can call it.
///
/// The function itself stays as it is. Its arguments must be owned and deserializable, its result serializable; when it returns a
/// `Result`, the error must implement `Display` and `Err` counts as the task's failure.
///
/// Arguments travel to the worker in a format that does not describe itself. A derived `Deserialize` and `Serialize` are
/// fine; serde's attributes `untagged`, `flatten`, `tag` and `skip_serializing_if` are not, and such a task fails with
/// "the arguments cannot be read". Results are JSON and free of this.
///
/// * `#[task(name = "...")]` sets the name; by default it is the function's with `-` for `_`.
/// * `#[task(group = "...")]` lists the task under this heading.
///
/// The expansion holds no code that is unsafe in the caller's hands, but places a `static` in a linker section, by linkme. That
/// passes `#![deny(unsafe_code)]` and `#![forbid(unsafe_code)]` alike, since the compiler does not hold code from a macro of another crate
/// against the caller.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as options::Options);
    let function = parse_macro_input!(item as ItemFn);
    let original = quote::quote!(#function);
    // The function stays in place even when it cannot be a task: one error is better than one for every use of it.
    let registration = check::check(&function)
        .and_then(|()| expand::registration(&options, &function))
        .unwrap_or_else(syn::Error::into_compile_error);
    quote::quote!(#original #registration).into()
}
