//! Writes the methods of a type's proxy.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Error, FnArg, GenericArgument, ImplItem, ImplItemFn, ItemImpl, Pat, PathArguments, ReceiverKind, Result,
    ReturnType, Safety, Signature, Type, Visibility,
};

use crate::check::owned;

/// What a manager's `Method` takes.
const MOST_ARGUMENTS: usize = 4;

/// What the proxy itself has: it would be called instead.
const TAKEN: [&str; 4] = ["call", "clone", "discard", "fmt"];

/// A method, as its proxy has it.
struct Forwarded<'a> {
    attributes: Vec<&'a Attribute>,
    signature: &'a Signature,
    names: Vec<&'a Ident>,
    types: Vec<TokenStream>,
    value: TokenStream,
}

/// Returns a trait with the methods of `block`, and its implementation for the proxy.
pub(crate) fn methods(name: Option<Ident>, block: &ItemImpl) -> Result<TokenStream> {
    let this = &block.self_ty;
    let Type::Path(path) = this.as_ref() else {
        return Err(Error::new_spanned(this, "`managed` is for the methods of a struct or an enum of your own"));
    };
    if let Some((path, _)) = &block.trait_ {
        return Err(Error::new_spanned(
            path,
            "`managed` is for a type's own methods: call those of a trait with `Managed::call`",
        ));
    }
    if !block.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &block.generics,
            "a managed type is concrete: call generic ones with `Managed::call`",
        ));
    }
    let last = path.path.segments.last().expect("a path has a segment");
    let name = name.unwrap_or_else(|| format_ident!("{}Methods", last.ident));
    let functions: Vec<&ImplItemFn> = block.items.iter().filter_map(method).collect();
    let visible = functions.iter().map(|function| &function.vis).find(|vis| !matches!(vis, Visibility::Inherited));
    let offered =
        functions.iter().filter(|function| visible.is_none() || !matches!(function.vis, Visibility::Inherited));
    let forwarded: Vec<Forwarded<'_>> = offered.map(|function| forward(this, function)).collect::<Result<_>>()?;
    let declarations = forwarded.iter().map(Forwarded::declaration);
    let definitions = forwarded.iter().map(|method| method.definition(this));
    let doc = format!("The methods of a [`{0}`] in a manager; written by `#[ganger::managed]`.", last.ident);
    Ok(quote! {
        #[doc = #doc]
        #visible trait #name {
            #(#declarations)*
        }

        impl #name for ::ganger::manager::Managed<#this> {
            #(#definitions)*
        }
    })
}

/// Functions without `self` make objects, or have nothing to do with one.
fn method(item: &ImplItem) -> Option<&ImplItemFn> {
    match item {
        ImplItem::Fn(function) if function.sig.receiver().is_some() => Some(function),
        _ => None,
    }
}

fn forward<'a>(this: &Type, function: &'a ImplItemFn) -> Result<Forwarded<'a>> {
    let signature = &function.sig;
    check(signature)?;
    let mut names = Vec::new();
    let mut types = Vec::new();
    for argument in signature.inputs.iter().skip(1) {
        let FnArg::Typed(argument) = argument else { continue };
        let Pat::Ident(pat) = argument.pat.as_ref() else {
            return Err(Error::new_spanned(&argument.pat, "an argument of a managed method needs a plain name"));
        };
        owned(&argument.ty)?;
        names.push(&pat.ident);
        types.push(without_self(argument.ty.to_token_stream(), this));
    }
    let value = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => {
            owned(ty)?;
            without_self(value_of(ty).to_token_stream(), this)
        }
    };
    let kept = |attribute: &&Attribute| ["doc", "cfg"].iter().any(|name| attribute.path().is_ident(name));
    Ok(Forwarded { attributes: function.attrs.iter().filter(kept).collect(), signature, names, types, value })
}

fn check(signature: &Signature) -> Result<()> {
    let refused = |tokens: &dyn ToTokens, text: &str| Err(Error::new_spanned(tokens.to_token_stream(), text));
    if let Some(receiver) = signature.receiver()
        && !matches!(receiver.kind, ReceiverKind::Reference(..))
    {
        return refused(receiver, "the object stays in the manager: take `&self` or `&mut self`");
    }
    if !signature.generics.params.is_empty() {
        return refused(&signature.generics, "a managed method is called by other processes, so it cannot be generic");
    }
    if let Some(token) = &signature.asyncness {
        return refused(token, "a managed method runs in the manager and blocks there: remove `async`");
    }
    if matches!(signature.safety, Safety::Unsafe(_)) {
        return refused(
            &signature.ident,
            "any process with a proxy can call a managed method, so it cannot be `unsafe`",
        );
    }
    if signature.inputs.len() > MOST_ARGUMENTS + 1 {
        return refused(
            &signature.inputs,
            "a managed method has at most 4 arguments beside `self`: group them in a struct",
        );
    }
    if TAKEN.iter().any(|taken| signature.ident == taken) {
        return refused(&signature.ident, "the proxy itself has a method of this name, which would be called instead");
    }
    Ok(())
}

/// The type of the value: of a `Result` that of `Ok`, as its `Err` becomes the call's error.
fn value_of(ty: &Type) -> &Type {
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(GenericArgument::Type(value)) = arguments.args.first()
    {
        return value;
    }
    ty
}

/// Writes the type out where it is called `Self`, which is the proxy in the proxy's methods.
fn without_self(tokens: TokenStream, this: &Type) -> TokenStream {
    let written = |token| match token {
        TokenTree::Ident(ident) if ident == "Self" => quote_spanned!(ident.span()=> #this),
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), without_self(group.stream(), this));
            inner.set_span(group.span());
            TokenTree::Group(inner).into()
        }
        other => other.into(),
    };
    tokens.into_iter().map(written).collect::<Vec<TokenStream>>().into_iter().collect()
}

impl Forwarded<'_> {
    fn head(&self) -> TokenStream {
        let Self { signature, names, types, value, .. } = self;
        let ident = &signature.ident;
        quote!(fn #ident(&self, #(#names: #types),*) -> ::std::result::Result<#value, ::ganger::Error>)
    }

    fn declaration(&self) -> TokenStream {
        let (head, attributes) = (self.head(), &self.attributes);
        let errors = "\n\n# Errors\nAs of [`Managed::call`](::ganger::manager::Managed::call).";
        quote! {
            #(#attributes)*
            #[doc = #errors]
            #head;
        }
    }

    fn definition(&self, this: &Type) -> TokenStream {
        let Self { signature, names, types, .. } = self;
        let (head, ident) = (self.head(), &signature.ident);
        let object = Ident::new("__object", Span::mixed_site());
        let conditions = self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        quote_spanned! {ident.span()=>
            #(#conditions)*
            #head {
                ::ganger::manager::Managed::call(
                    self,
                    |#object: &mut #this, #(#names: #types),*| <#this>::#ident(#object, #(#names),*),
                    (#(#names,)*),
                )
            }
        }
    }
}
