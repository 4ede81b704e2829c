//! What stands in the parentheses of `#[task(...)]`.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token};

/// Holds the options that were given.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) group: Option<LitStr>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        for pair in Punctuated::<Pair, Token![,]>::parse_terminated(input)? {
            let slot = match pair.key.to_string().as_str() {
                "name" => &mut options.name,
                "group" => &mut options.group,
                _ => {
                    return Err(Error::new(pair.key.span(), "expected `name = \"...\"` or `group = \"...\"`"));
                }
            };
            if slot.replace(pair.value).is_some() {
                return Err(Error::new(pair.key.span(), "given twice"));
            }
        }
        if let Some(name) = &options.name {
            check_name(name)?;
        }
        Ok(options)
    }
}

/// A name is a word of a shell command, and one of a flag's values.
fn check_name(name: &LitStr) -> Result<()> {
    let text = name.value();
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.chars().all(legal) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Error::new(
        name.span(),
        "a task's name is made of ASCII letters, digits, `-`, `_` and `.`, and starts with a letter or digit",
    ))
}

struct Pair {
    key: Ident,
    value: LitStr,
}

impl Parse for Pair {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self { key, value: input.parse()? })
    }
}
