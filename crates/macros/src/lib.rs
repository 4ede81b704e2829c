//! The attributes `#[ganger::task]` and `#[ganger::managed]`.

mod check;
mod expand;
mod managed;
mod options;

use proc_macro::TokenStream;
use syn::{Ident, ItemFn, ItemImpl, parse_macro_input};

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

/// Gives the proxy `Managed<T>` the methods of `T`, so that an object that lives in a manager is used as if it were here.
///
/// It stands before an `impl` block, which stays as it is. What takes `&self` or `&mut self` and up to 4 owned arguments
/// becomes a method of a new trait, `TMethods` or what `#[managed(Name)]` says, which is implemented for `Managed<T>` and
/// has to be in scope where it is used. In a block with methods that are `pub`, only those are there, and the trait is too.
/// Each returns a `Result`: an `Err` of the method, or a panic, is its error. Functions without `self` make objects, with
/// `Client::object`.
#[proc_macro_attribute]
pub fn managed(name: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(name as Option<Ident>);
    let block = parse_macro_input!(item as ItemImpl);
    let methods = managed::methods(name, &block).unwrap_or_else(syn::Error::into_compile_error);
    quote::quote!(#block #methods).into()
}
