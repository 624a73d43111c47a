//! Reading single pieces of generated Rust: signatures, literals, type arguments.

use quote::ToTokens;
use syn::Type;

/// A function or a pointer to one.
pub struct Signature {
    pub abi: String,
    pub params: Vec<(String, Type)>,
    pub ret: Option<Type>,
}

impl Signature {
    pub fn of(abi: &str, signature: &syn::Signature) -> Self {
        let params = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(input) => {
                Some((input.pat.to_token_stream().to_string(), (*input.ty).clone()))
            }
            syn::FnArg::Receiver(_) => None,
        });
        Self {
            abi: abi.into(),
            params: params.collect(),
            ret: returned(&signature.output),
        }
    }

    pub fn of_pointer(function: &syn::TypeBareFn) -> Self {
        let params = function.inputs.iter().map(|input| {
            let name = input
                .name
                .as_ref()
                .map_or_else(String::new, |name| name.0.to_string());
            (name, input.ty.clone())
        });
        let abi = function.abi.as_ref().and_then(|abi| abi.name.as_ref());
        Self {
            abi: abi.map_or_else(String::new, syn::LitStr::value),
            params: params.collect(),
            ret: returned(&function.output),
        }
    }
}

fn returned(output: &syn::ReturnType) -> Option<Type> {
    match output {
        syn::ReturnType::Default => None,
        syn::ReturnType::Type(_, ty) => Some((**ty).clone()),
    }
}

/// `Option<unsafe extern "C" fn(..)>`
pub fn pointed_function(ty: &Type) -> Option<&syn::TypeBareFn> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first()? {
        syn::GenericArgument::Type(Type::BareFn(function)) if last.ident == "Option" => {
            Some(function)
        }
        _ => None,
    }
}

/// The `T` of `Name<T>`.
pub fn argument(segment: &syn::PathSegment) -> Result<Type, String> {
    if let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments
        && let Some(syn::GenericArgument::Type(ty)) = arguments.args.first()
    {
        return Ok(ty.clone());
    }
    Err(format!("{} has no argument", segment.ident))
}

/// `#[repr(align(8))]`
pub fn asked_alignment(attribute: &syn::Attribute) -> Option<u64> {
    let text = attribute.meta.to_token_stream().to_string();
    let (_, rest) = text.split_once("align (")?;
    rest.split_once(')')?.0.trim().parse().ok()
}

/// The value of a literal, with a sign.
pub fn number(expression: &syn::Expr) -> Option<i64> {
    match expression {
        syn::Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Int(integer) => integer.base10_parse().ok(),
            _ => None,
        },
        syn::Expr::Unary(negative) => number(&negative.expr).map(|value| -value),
        _ => None,
    }
}
