//! Refuses functions that cannot be called by name, with the way out.

use syn::visit::Visit;
use syn::{Error, FnArg, ItemFn, Pat, PatType, Result, Safety, Type, TypeImplTrait, TypeReference};

/// serde implements its traits for tuples of up to this many elements.
const MOST_ARGUMENTS: usize = 16;

/// Returns the first reason why `function` cannot be a task.
pub(crate) fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            "a task is called by name, so it cannot be generic: mark a function with concrete types that calls this one",
        ));
    }
    if let Some(token) = &signature.asyncness {
        return Err(Error::new_spanned(token, "a task runs in a process of its own and blocks there: remove `async`"));
    }
    if matches!(signature.safety, Safety::Unsafe(_)) {
        return Err(Error::new_spanned(
            &signature.ident,
            "anybody can call a task from the command line, so it cannot be `unsafe`: mark a safe function that calls this one",
        ));
    }
    if signature.inputs.len() > MOST_ARGUMENTS {
        return Err(Error::new_spanned(&signature.inputs, "a task has at most 16 arguments: group them in a struct"));
    }
    signature.inputs.iter().try_for_each(check_argument)
}

fn check_argument(argument: &FnArg) -> Result<()> {
    let FnArg::Typed(PatType { pat, ty, .. }) = argument else {
        return Err(Error::new_spanned(argument, "a task is a free function: it cannot take `self`"));
    };
    if !matches!(pat.as_ref(), Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none()) {
        return Err(Error::new_spanned(pat, "an argument of a task needs a plain name, by which `--arg` can call it"));
    }
    owned(ty)
}

/// Refuses types that borrow, and such that are not known: a value of them cannot come from another process.
pub(crate) fn owned(ty: &Type) -> Result<()> {
    let mut finder = BorrowFinder(None);
    finder.visit_type(ty);
    finder.0.map_or(Ok(()), Err)
}

/// Finds the first type that cannot be made from data which came from another process.
struct BorrowFinder(Option<Error>);

impl BorrowFinder {
    fn report(&mut self, error: Error) {
        self.0.get_or_insert(error);
    }
}

impl<'ast> Visit<'ast> for BorrowFinder {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let owned = owned_form(&reference.elem);
        let message = format!("what comes from another process must be owned: write `{owned}`");
        self.report(Error::new_spanned(reference, message));
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.report(Error::new_spanned(
            ty,
            "what comes from another process is of a type that is written out: name it",
        ));
    }
}

/// Names the owned type that stands for a reference to `borrowed`.
fn owned_form(borrowed: &Type) -> String {
    let text = crate::expand::source(borrowed);
    match borrowed {
        Type::Slice(slice) => format!("Vec<{}>", crate::expand::source(&slice.elem)),
        _ => match text.rsplit("::").next().unwrap_or(&text) {
            "str" => "String".to_owned(),
            "Path" => "PathBuf".to_owned(),
            "OsStr" => "OsString".to_owned(),
            "CStr" => "CString".to_owned(),
            _ => text,
        },
    }
}
