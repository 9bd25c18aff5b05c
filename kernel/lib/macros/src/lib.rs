//! The `#[kernel_test]` attribute. What it means is told in `base::ktest`; here it is
//! only rewritten into the macro `base::__kernel_test!`.

#![forbid(unsafe_code)]

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

fn error(message: &str) -> TokenStream {
    format!("compile_error!({message:?});").parse().unwrap_or_default()
}

/// Marks a function `fn name()` as a kernel test. Takes nothing, `should_panic`,
/// `should_panic = "text"`, `should_fault` or `should_fault = "text"`.
#[proc_macro_attribute]
pub fn kernel_test(options: TokenStream, function: TokenStream) -> TokenStream {
    let mut options = options.into_iter();
    let expect = match (options.next(), options.next(), options.next(), options.next()) {
        (None, ..) => "Success".to_owned(),
        (Some(TokenTree::Ident(what)), equals, text, None) => {
            let variant = match what.to_string().as_str() {
                "should_panic" => "Panic",
                "should_fault" => "Fault",
                _ => return error("kernel_test takes should_panic or should_fault"),
            };
            match (equals, text) {
                (None, None) => format!("{variant}(\"\")"),
                (Some(TokenTree::Punct(p)), Some(TokenTree::Literal(text)))
                    if p.as_char() == '=' =>
                {
                    format!("{variant}({text})")
                }
                _ => return error("kernel_test: expected should_panic = \"text\""),
            }
        }
        _ => return error("kernel_test takes should_panic or should_fault"),
    };
    let mut tokens = function.clone().into_iter();
    let name = loop {
        match tokens.next() {
            Some(TokenTree::Ident(word)) if word.to_string() == "fn" => match tokens.next() {
                Some(TokenTree::Ident(name)) => break name,
                _ => return error("kernel_test: a function has a name"),
            },
            Some(_) => {}
            None => return error("kernel_test stands before a function"),
        }
    };
    // The function's own tokens go through untouched, so that a failed assertion in it
    // names its own line.
    let (Ok(path), Ok(head)) = (
        "::base::__kernel_test!".parse::<TokenStream>(),
        format!("::base::ktest::Expect::{expect}, {name},").parse::<TokenStream>(),
    ) else {
        return error("kernel_test: cannot rewrite this function");
    };
    let body: TokenStream = head.into_iter().chain(function).collect();
    let group = TokenTree::Group(Group::new(Delimiter::Brace, body));
    path.into_iter().chain([group]).collect()
}
