//! Writes the registration of a checked function.

use crate::options::Options;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, Meta, Pat, Result, ReturnType, Type};

/// Returns an unnamed constant that enters `function` into the registry.
///
/// All names inside start with two underscores, lest they hide a function or type of the user's.
pub(crate) fn registration(options: &Options, function: &ItemFn) -> Result<TokenStream> {
    let ident = &function.sig.ident;
    let (names, types): (Vec<&Ident>, Vec<&Type>) = function.sig.inputs.iter().filter_map(named).unzip();
    let metadata = metadata(options, function);
    let texts: Vec<String> = names.iter().map(|name| plain(name)).collect();
    let type_texts: Vec<String> = types.iter().map(source).collect();
    let values: Vec<Ident> =
        (0..names.len()).map(|position| format_ident!("__argument_{position}", span = Span::mixed_site())).collect();
    let converted = types.iter().map(|ty| quote_spanned!(ty.span()=> __arguments.take::<#ty>()?));
    let checks = types.iter().map(|ty| quote_spanned!(ty.span()=> __private::check_argument::<#ty>));
    let result_bound = result_bound(&function.sig.output);
    let conditions = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));

    Ok(quote! {
        #(#conditions)*
        const _: () = {
            use ::ganger::__private;

            fn __encode(
                __fields: &[__private::Field<'_>],
                __out: &mut ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), __private::ArgumentError> {
                #[allow(unused_mut)]
                let mut __arguments = __private::Arguments::new(&[#(#texts),*], __fields);
                let __tuple: (#(#types,)*) = (#(#converted,)*);
                __arguments.encode(&__tuple, __out)
            }

            fn __run(
                __payload: &[u8],
                __out: &mut ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), __private::Failure> {
                #[allow(unused_imports)]
                use __private::{WriteResult as _, WriteValue as _};
                #result_bound
                let (#(#values,)*): (#(#types,)*) = __private::decode_arguments(__payload)?;
                (&__private::Returned(#ident(#(#values),*))).write(__out)
            }

            #[__private::linkme::distributed_slice(__private::TASKS)]
            #[linkme(crate = __private::linkme)]
            static __ENTRY: __private::TaskEntry = __private::TaskEntry::__new(__private::Parts {
                #metadata
                arguments: &[#(__private::Argument::__new(#texts, #type_texts, #checks)),*],
                location: ::std::concat!(::std::file!(), ":", ::std::line!()),
                encode_arguments: __encode,
                run: __run,
            });
        };
    })
}

/// Writes the fields that are texts: name, group, doc and return type.
fn metadata(options: &Options, function: &ItemFn) -> TokenStream {
    let ident = &function.sig.ident;
    let name = options.name.as_ref().map_or_else(|| plain(ident).replace('_', "-"), syn::LitStr::value);
    let group = options.group.as_ref().map_or_else(String::new, syn::LitStr::value);
    let doc = doc_text(&function.attrs);
    let returns = match &function.sig.output {
        ReturnType::Default => "()".to_owned(),
        ReturnType::Type(_, ty) => source(ty),
    };
    quote! {
        name: #name,
        group: #group,
        doc: #doc,
        returns: #returns,
    }
}

fn named(argument: &FnArg) -> Option<(&Ident, &Type)> {
    match argument {
        FnArg::Typed(argument) => match argument.pat.as_ref() {
            Pat::Ident(name) => Some((&name.ident, &argument.ty)),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    }
}

fn plain(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

/// Demands, at the place of the return type, what a written `Result` must fulfil.
fn result_bound(output: &ReturnType) -> TokenStream {
    let ReturnType::Type(_, ty) = output else {
        return TokenStream::new();
    };
    let Type::Path(path) = ty.as_ref() else {
        return TokenStream::new();
    };
    if path.path.segments.last().is_none_or(|segment| segment.ident != "Result") {
        return TokenStream::new();
    }
    quote_spanned! {ty.span()=>
        const fn __returns_value_or_error<T: __private::ValueOrError>() {}
        const _: () = __returns_value_or_error::<#ty>();
    }
}

fn doc_text(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(doc_line).collect();
    lines.join("\n").trim().to_owned()
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let text = text.value();
                Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
            }
            _ => None,
        },
        _ => None,
    }
}

/// Returns a type as a reader would write it: the tokens without the blanks that printing them puts between.
pub(crate) fn source(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    let mut tight = text.replace(" ,", ",");
    for mark in ["::", "<", ">", "(", ")", "[", "]", "&"] {
        tight = tight.replace(&format!(" {mark}"), mark);
        if !matches!(mark, ">" | ")" | "]") {
            tight = tight.replace(&format!("{mark} "), mark);
        }
    }
    tight.replace(",)", ")").replace(",>", ">")
}
