//! Rust sources as statements of tokens: what an index of names needs, also of what stands inside a
//! macro.
//!
//! Tokens, not a syntax tree: most options and flags are declared by macros, which a syntax tree
//! leaves as they are.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Words before the name of what a statement declares.
const KEYWORDS: [&str; 14] = [
    "pub", "const", "fn", "async", "unsafe", "extern", "struct", "enum", "trait", "type", "static",
    "mod", "union", "mut",
];

/// The tokens of one statement, item, field or variant.
#[derive(Debug, Default)]
pub struct Statement {
    /// What stands in `#[..]`, also of documentation.
    pub attributes: Vec<TokenStream>,
    pub tokens: Vec<TokenTree>,
}

/// Reads a source.
pub fn parse(path: &str, text: &str) -> Result<Vec<Statement>> {
    let tokens: TokenStream = text
        .parse()
        .map_err(|error| anyhow!("{path} is not Rust: {error}\n  what to do: make it compile"))?;
    Ok(split(tokens))
}

/// Splits at semicolons and behind braces; at commas where there are no semicolons.
pub fn split(tokens: TokenStream) -> Vec<Statement> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let end = if tokens.iter().any(|token| is_punct(token, ';')) {
        ';'
    } else {
        ','
    };
    let mut statements = Vec::new();
    let mut current = Statement::default();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            token if is_punct(&token, '#') => {
                tokens.next_if(|next| is_punct(next, '!'));
                current.attributes.extend(tokens.next().and_then(contents));
            }
            token if is_punct(&token, end) => {
                statements.push(std::mem::take(&mut current));
            }
            token => {
                // A field or variant with braces ends at its comma.
                let ends = is_braces(&token) && !current.is_declaration_with(end);
                current.tokens.push(token);
                if ends {
                    statements.push(std::mem::take(&mut current));
                }
            }
        }
    }
    statements.push(current);
    statements.retain(|statement| !statement.tokens.is_empty());
    statements
}

fn contents(token: TokenTree) -> Option<TokenStream> {
    match token {
        TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    }
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

impl Statement {
    /// Whether braces are the right side of a declaration that goes on until `end`: `use a::{b};`,
    /// `const A: B = B { .. };`.
    fn is_declaration_with(&self, end: char) -> bool {
        let has = |wanted: &str| self.words().any(|word| word == wanted);
        let has_value = self.tokens.iter().any(|token| is_punct(token, '='));
        let has_body = has("fn") || has("impl") || has("trait");
        end == ';' && (has("use") || has_value && !has_body)
    }

    /// The identifiers on the top level.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.tokens.iter().filter_map(word)
    }

    /// The identifiers on the top level that are not in angle brackets.
    pub fn unbracketed_words(&self) -> Vec<String> {
        let (mut depth, mut words) = (0_usize, Vec::new());
        for token in &self.tokens {
            match token {
                TokenTree::Ident(ident) if depth == 0 => words.push(ident.to_string()),
                token if is_punct(token, '<') => depth += 1,
                token if is_punct(token, '>') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        words
    }

    /// The identifiers on the top level before the first braces: of an `impl`, what it is for.
    pub fn header(&self) -> BTreeSet<String> {
        let before = self.tokens.iter().take_while(|token| !is_braces(token));
        before.filter_map(word).collect()
    }

    /// Whether its header has this sign, as a macro has `!` and a definition of one `$`.
    pub fn has_sign(&self, sign: char) -> bool {
        let mut header = self.tokens.iter().take_while(|token| !is_braces(token));
        header.any(|token| is_punct(token, sign))
    }

    /// What it declares.
    pub fn name(&self) -> Option<String> {
        self.words().find(|word| !KEYWORDS.contains(&word.as_str()))
    }

    pub fn starts_with(&self, word: &str) -> bool {
        self.words().next().is_some_and(|first| first == word)
    }

    /// Whether it is `pub`, for everybody.
    pub fn is_public(&self) -> bool {
        let restricted = matches!(self.tokens.get(1), Some(TokenTree::Group(group))
            if group.delimiter() == Delimiter::Parenthesis);
        self.starts_with("pub") && !restricted
    }

    /// Whether it is for tests only.
    pub fn is_for_tests(&self) -> bool {
        self.attributes.iter().any(|attribute| {
            let text = attribute.to_string();
            text.starts_with("cfg") && text.contains("test") && !text.contains("not")
        })
    }

    /// Whether it is a test.
    pub fn is_test(&self) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|attribute| attribute.to_string() == "test")
    }

    /// The words of its documentation and of its aliases.
    pub fn documented(&self) -> BTreeSet<String> {
        let mut documented = BTreeSet::new();
        let all = self.attributes.iter().map(ToString::to_string);
        for text in all.filter(|text| text.starts_with("doc")) {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            documented.extend(text.split(|c| !is_word(c)).map(str::to_owned));
        }
        documented
    }

    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.tokens.iter().filter_map(|token| match token {
            TokenTree::Group(group) => Some(group),
            _ => None,
        })
    }

    /// All identifiers in it.
    pub fn all_words(&self) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for token in &self.tokens {
            collect(token, &mut |word| {
                words.insert(word);
            });
        }
        words
    }

    /// The names at the ends of the paths of a `use`.
    pub fn imported(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        ends(&self.tokens, &mut names);
        names
    }

    /// The line it begins on.
    pub fn line(&self) -> usize {
        let first = self.tokens.first();
        first.map_or(0, |token| token.span().start().line)
    }
}

fn word(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

/// Calls back for each identifier.
fn collect<F: FnMut(String)>(token: &TokenTree, found: &mut F) {
    match token {
        TokenTree::Ident(ident) => found(ident.to_string()),
        TokenTree::Group(group) => {
            for token in group.stream() {
                collect(&token, found);
            }
        }
        _ => {}
    }
}

/// The identifiers behind which no path goes on.
fn ends(tokens: &[TokenTree], names: &mut BTreeSet<String>) {
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if !tokens.get(at + 1).is_some_and(|it| is_punct(it, ':')) => {
                names.insert(ident.to_string());
            }
            TokenTree::Group(group) => {
                ends(&group.stream().into_iter().collect::<Vec<_>>(), names);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let statements = parse("a.rs", text).unwrap();
        statements.iter().filter_map(Statement::name).collect()
    }

    #[test]
    fn items_end_at_semicolons_and_behind_braces() {
        let text = "use a::{b, c};\nconst A: B = B { c: 1 };\nfn d() -> impl I<J = K> { e(); }\n\
                    pub struct F { g: H }\npub(crate) trait L {}\nm! { n }\n";
        assert_eq!(names(text), ["use", "A", "d", "F", "L", "m"]);
    }

    #[test]
    fn variants_and_fields_end_at_commas() {
        assert_eq!(
            names("A, B { c: u8 }, D = 4, #[doc = \"e\"] F(G)"),
            ["A", "B", "D", "F"]
        );
    }

    #[test]
    fn documentation_and_aliases_are_words() {
        let text = "/// Sends. `WSK_FLAG_OOB`\n#[doc(alias = \"WskSend\")]\n#[must_use]\nfn a() {}";
        let documented = parse("a.rs", text).unwrap()[0].documented();
        assert!(documented.contains("WSK_FLAG_OOB") && documented.contains("WskSend"));
        assert!(!documented.contains("must_use"));
    }

    #[test]
    fn only_pub_alone_is_public() {
        let statements = parse("a.rs", "pub fn a() {} pub(crate) fn b() {} fn c() {}").unwrap();
        let public: Vec<_> = statements.iter().map(Statement::is_public).collect();
        assert_eq!(public, [true, false, false]);
    }

    #[test]
    fn imported_names_are_the_ends_of_paths() {
        let statements = parse("a.rs", "pub use self::{a::{B, c::D}, E};").unwrap();
        let imported = statements[0].imported();
        assert!(["B", "D", "E"].iter().all(|name| imported.contains(*name)));
        assert!(
            ["a", "c", "self"]
                .iter()
                .all(|name| !imported.contains(*name))
        );
    }

    #[test]
    fn text_that_is_not_rust_is_an_error_that_names_the_file() {
        let error = parse("src/a.rs", "fn (").unwrap_err().to_string();
        assert!(error.starts_with("src/a.rs is not Rust"), "{error}");
    }
}
