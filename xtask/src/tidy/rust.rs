//! Checks on the tokens of a Rust source.
//!
//! Tokens, not a syntax tree: what stands inside a macro, or in its definition, is seen as well.
//! Comments are no tokens; they are looked up in the lines above a token, or above the statement
//! that it is in.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::exceptions::{Exceptions, Kind};
use super::{Finding, Source};

const OPT_IN: &str = concat!(
    "if no safe code can do it, put `#![expect(unsafe_code, reason = ..)]` at the top of the ",
    "module below a line `// UNSAFETY: why`, and add `unsafe PATH: REASON` to xtask/data/tidy.txt"
);

/// Runs every check of this module.
pub fn check(source: &Source, exceptions: &mut Exceptions, findings: &mut Vec<Finding>) {
    let tokens = match source.text.parse::<TokenStream>() {
        Ok(tokens) => tokens,
        Err(error) => {
            let line = error.span().start().line;
            findings.push(source.finding(line, "not Rust", "make it compile"));
            return;
        }
    };
    let mut walk = Walk {
        source,
        lines: source.text.lines().collect(),
        first_unsafe: None,
        opt_in: None,
        sleeps: Vec::new(),
        findings,
    };
    walk.stream(tokens, &[], is_test_file(&source.path));
    walk.check_opt_in(exceptions);
    walk.check_sleeps(exceptions);
}

/// Whether everything in the file is test code: an integration test, or a module of tests.
fn is_test_file(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.trim_end_matches(".rs");
    let program = folders.rsplit('/').take_while(|folder| *folder != "tests");
    let below_tests = folders.split('/').any(|folder| folder == "tests")
        && !program.into_iter().any(|folder| folder == "src");
    below_tests || stem == "tests" || stem.ends_with("_tests")
}

/// One pass over all tokens of a file.
struct Walk<'a> {
    source: &'a Source,
    lines: Vec<&'a str>,
    /// Line of the first unsafe code.
    first_unsafe: Option<usize>,
    /// Line of the attribute by which the module opts in.
    opt_in: Option<usize>,
    /// Lines on which test code sleeps.
    sleeps: Vec<usize>,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    /// `statements` are the lines at which the statements around the tokens begin.
    fn stream(&mut self, stream: TokenStream, statements: &[usize], in_test: bool) {
        let tokens: Vec<_> = stream.into_iter().collect();
        let mut statements = statements.to_vec();
        statements.push(0);
        // An attribute says that the item which follows is a test.
        let mut test_follows = false;
        for (at, token) in tokens.iter().enumerate() {
            let (before, after) = (&tokens[..at], &tokens[at + 1..]);
            if starts_statement(before) {
                statements.pop();
                statements.push(line(token));
            }
            match token {
                TokenTree::Group(group) if is_attribute(before, group) => {
                    let inner = is_punct(before.last(), '!');
                    test_follows |= self.attribute(group, inner);
                }
                TokenTree::Group(group) => {
                    let block = group.delimiter() == Delimiter::Brace;
                    let around = if block { &[] } else { &statements[..] };
                    self.stream(group.stream(), around, in_test || test_follows);
                    test_follows &= !block;
                }
                TokenTree::Punct(punct) => test_follows &= punct.as_char() != ';',
                TokenTree::Ident(ident) => {
                    self.word(&ident.to_string(), line(token), &statements, after);
                    if in_test && is_sleep(before, token, after) {
                        self.sleeps.push(line(token));
                    }
                }
                TokenTree::Literal(_) => {}
            }
        }
    }

    fn word(&mut self, name: &str, line: usize, statements: &[usize], after: &[TokenTree]) {
        match name {
            "unsafe" => self.unsafe_code(line, statements, after),
            "todo" | "unimplemented" | "dbg" if is_punct(after.first(), '!') => {
                self.find(line, format!("`{name}!`"), "write what belongs there");
            }
            _ => {}
        }
    }

    fn unsafe_code(&mut self, line: usize, statements: &[usize], after: &[TokenTree]) {
        let explained = is_group(after.first(), Delimiter::Brace) || is_word(after.first(), "impl");
        if !explained && is_function_type(after) {
            return;
        }
        self.first_unsafe.get_or_insert(line);
        let comment = |line: &usize| comment_above(&self.lines, *line).any(is_safety);
        if explained && !comment(&line) && !statements.iter().any(comment) {
            self.find(
                line,
                "unsafe code without a SAFETY comment",
                "say above it which rule it relies on and why that holds here: who keeps it alive, \
                 who else may touch it, at which IRQL",
            );
        }
    }

    /// Checks an attribute; returns whether it makes the next item a test.
    fn attribute(&mut self, group: &Group, inner: bool) -> bool {
        let line = group.span_open().start().line;
        let tokens: Vec<_> = group.stream().into_iter().collect();
        for name in ["ignore", "should_panic"] {
            if is_word(tokens.first(), name) {
                let advice = "assert what should happen, and let it run";
                self.find(line, format!("`#[{name}]`"), advice);
            }
        }
        self.lints(&tokens, line, inner);
        let test_only = |group: &Group| group.stream().to_string() == "test";
        match tokens.as_slice() {
            [TokenTree::Ident(cfg), TokenTree::Group(group)] if cfg == "cfg" => test_only(group),
            [.., TokenTree::Ident(last)] | [.., TokenTree::Ident(last), TokenTree::Group(_)] => {
                last == "test"
            }
            _ => false,
        }
    }

    /// The lints that an attribute, also one inside `cfg_attr`, changes.
    fn lints(&mut self, tokens: &[TokenTree], line: usize, inner: bool) {
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Ident(name) = token else {
                continue;
            };
            let name = name.to_string();
            if name == "unsafe" {
                self.first_unsafe.get_or_insert(line);
            }
            let Some(TokenTree::Group(list)) = tokens.get(at + 1) else {
                continue;
            };
            let list: Vec<_> = list.stream().into_iter().collect();
            let has = |word| list.iter().any(|token| is_word(Some(token), word));
            match name.as_str() {
                "allow" => self.find(line, "`allow`", "use `expect(.., reason = ..)`"),
                "expect" if !has("reason") => {
                    self.find(line, "`expect` without a reason", "add `reason = ..`");
                }
                "expect" if has("unsafe_code") && inner => self.opt_in = Some(line),
                "expect" if has("unsafe_code") => self.find(
                    line,
                    "`unsafe_code` is expected by an item, not by a module",
                    OPT_IN,
                ),
                "cfg_attr" => self.lints(&list, line, inner),
                _ => {}
            }
        }
    }

    fn check_opt_in(&mut self, exceptions: &mut Exceptions) {
        let Some(line) = self.opt_in else {
            if let Some(line) = self.first_unsafe {
                self.find(line, "unsafe code in a module that does not opt in", OPT_IN);
            }
            return;
        };
        if !comment_above(&self.lines, line).any(|text| text.starts_with("// UNSAFETY: ")) {
            self.find(
                line,
                "no `// UNSAFETY:` line above this",
                "say why no safe code can do it",
            );
        }
        if !exceptions.allow(Kind::Unsafe, &self.source.path) {
            self.find(
                line,
                "this module is not in the list of those that contain unsafe code",
                "add `unsafe PATH: REASON` to xtask/data/tidy.txt",
            );
        }
    }

    fn check_sleeps(&mut self, exceptions: &mut Exceptions) {
        if self.sleeps.is_empty() || exceptions.allow(Kind::Sleep, &self.source.path) {
            return;
        }
        for line in std::mem::take(&mut self.sleeps) {
            self.find(
                line,
                "a test sleeps",
                "wait for what should happen; if there is nothing to wait for, add \
                 `sleep PATH: REASON` to xtask/data/tidy.txt",
            );
        }
    }

    fn find(&mut self, line: usize, what: impl Into<String>, advice: &'static str) {
        self.findings.push(self.source.finding(line, what, advice));
    }
}

/// The comment lines directly above a line; attributes in between do not count as lines.
fn comment_above<'a>(lines: &'a [&'a str], line: usize) -> impl Iterator<Item = &'a str> {
    let above = lines[..line.saturating_sub(1).min(lines.len())]
        .iter()
        .rev();
    above
        .map(|text| text.trim_start())
        .take_while(|text| text.starts_with("//") || text.starts_with('#'))
        .filter(|text| text.starts_with("//"))
}

fn is_safety(comment: &str) -> bool {
    comment
        .trim_start_matches('/')
        .trim_start()
        .starts_with("SAFETY:")
}

/// Whether the token after these begins a statement, an item, a field, an argument or an arm.
fn starts_statement(before: &[TokenTree]) -> bool {
    match before {
        [] => true,
        [.., TokenTree::Punct(first), TokenTree::Punct(second)]
            if first.as_char() == '=' && second.as_char() == '>' =>
        {
            true
        }
        [.., TokenTree::Punct(punct)] => matches!(punct.as_char(), ';' | ','),
        [.., TokenTree::Group(group)] => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}

/// A call of a function that sleeps. A method, as of a simulator, sleeps in its own time.
fn is_sleep(before: &[TokenTree], token: &TokenTree, after: &[TokenTree]) -> bool {
    let function = ["sleep", "sleep_until"]
        .iter()
        .any(|name| is_word(Some(token), name));
    let elsewhere = is_punct(before.last(), '.') || is_word(before.last(), "fn");
    function && !elsewhere && is_group(after.first(), Delimiter::Parenthesis)
}

/// The group of `#[..]` or `#![..]`.
fn is_attribute(before: &[TokenTree], group: &Group) -> bool {
    let hash = match before {
        [.., hash, bang] if is_punct(Some(bang), '!') => Some(hash),
        [.., hash] => Some(hash),
        [] => None,
    };
    group.delimiter() == Delimiter::Bracket && is_punct(hash, '#')
}

/// After `unsafe`: the type of a function, as in `Option<unsafe extern "C" fn()>`.
fn is_function_type(after: &[TokenTree]) -> bool {
    let keyword = after
        .iter()
        .take(3)
        .position(|token| is_word(Some(token), "fn"));
    keyword.is_some_and(|at| is_group(after.get(at + 1), Delimiter::Parenthesis))
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_word(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == wanted)
}

fn is_group(token: Option<&TokenTree>, delimiter: Delimiter) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == delimiter)
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "// UNSAFETY: IRPs.\n#![expect(unsafe_code, reason = \"IRPs\")]\n";

    fn findings_in(path: &str, text: &str) -> Vec<String> {
        let list = "unsafe src/a.rs: IRPs\nsleep tests/slow.rs: real time\n";
        let list = Source {
            path: "list".to_owned(),
            text: list.to_owned(),
        };
        let mut findings = Vec::new();
        let mut exceptions = Exceptions::read(&list, &mut findings);
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&source, &mut exceptions, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    fn findings(text: &str) -> Vec<String> {
        findings_in("src/a.rs", text)
    }

    fn assert_found(found: &[String], expected: &str) {
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{expected}: {found:?}"
        );
    }

    #[test]
    fn unsafe_in_a_listed_module_with_its_reasons_is_accepted() {
        for code in [
            "// SAFETY: [it] is alive.\nunsafe impl Send for A {}",
            "fn f() {\n    // SAFETY: alive.\n    unsafe { g() };\n}",
            "fn f() {\n    // SAFETY: alive,\n    // and ours.\n    let a =\n unsafe { g() };\n}",
            "fn f() { match a {\n // SAFETY: alive.\n Some(a) => unsafe { g(a) },\n None => 0 } }",
            "// SAFETY: alive.\n#[cfg(windows)]\nunsafe impl Send for A {}",
            "/// # Safety\n///\n/// Alive.\nunsafe fn f() {}",
            "macro_rules! m { () => {\n // SAFETY: alive.\n unsafe { g() } } }",
            "fn f() {\n // SAFETY: alive.\n a(&b,\n |c| unsafe { g(c) });\n}",
        ] {
            assert_eq!(findings(&format!("{TOP}{code}")), [""; 0], "{code}");
        }
    }

    #[test]
    fn unsafe_block_or_impl_without_safety_comment_is_found() {
        for code in [
            "unsafe impl Send for A {}",
            "fn f() { unsafe { g() } }",
            "fn f() {\n // SAFETY: alive.\n unsafe { g() };\n unsafe { h() };\n}",
            "fn f() {\n // SAFETY: alive.\n\n unsafe { g() };\n}",
            "fn f() {\n // SAFETY: alive.\n a(|| {\n unsafe { g() }\n });\n}",
            "macro_rules! m { () => { unsafe { g() } } }",
            "fn f() { println!(\"{}\", unsafe { g() }) }",
        ] {
            let found = findings(&format!("{TOP}{code}"));
            assert_found(&found, "without a SAFETY comment");
        }
    }

    #[test]
    fn unsafe_in_a_module_that_does_not_opt_in_is_found() {
        for code in [
            "// SAFETY: alive.\nunsafe impl Send for A {}",
            "unsafe fn f() {}",
            "unsafe trait T {}",
            "unsafe extern \"C\" fn f() {}",
            "unsafe extern \"C\" { fn f(); }",
            "#[unsafe(no_mangle)]\nextern \"C\" fn f() {}",
        ] {
            assert_found(&findings(code), "does not opt in");
        }
    }

    #[test]
    fn type_of_an_unsafe_function_is_not_unsafe_code() {
        let code = "type A = Option<unsafe extern \"C\" fn(u8)>;\nstruct B(unsafe fn());";
        assert_eq!(findings(code), [""; 0]);
    }

    #[test]
    fn opt_in_of_an_unlisted_module_or_without_its_line_is_found() {
        assert_found(&findings_in("src/b.rs", TOP), "not in the list");
        let (_, attribute) = TOP.split_once('\n').unwrap();
        assert_found(&findings(attribute), "no `// UNSAFETY:` line");
        let item = "#[expect(unsafe_code, reason = \"x\")]\nfn f() {}";
        assert_found(&findings(item), "not by a module");
    }

    #[test]
    fn lint_that_is_allowed_or_expected_without_reason_is_found() {
        assert_found(&findings("#[allow(dead_code)]\nfn f() {}"), "`allow`");
        assert_found(&findings("#![cfg_attr(test, allow(dead_code))]"), "`allow`");
        assert_found(
            &findings("#[expect(dead_code)]\nfn f() {}"),
            "without a reason",
        );
        assert_eq!(
            findings("#[expect(dead_code, reason = \"x\")]\nfn allow() {}"),
            [""; 0]
        );
    }

    #[test]
    fn macro_of_unfinished_work_is_found_in_code_and_not_in_text() {
        for name in ["todo", "unimplemented", "dbg"] {
            assert_found(&findings(&format!("fn f() {{ {name}!() }}")), name);
            assert_eq!(
                findings(&format!("const A: &str = \"{name}!()\";")),
                [""; 0]
            );
        }
    }

    #[test]
    fn test_that_does_not_run_or_has_to_panic_is_found() {
        assert_found(
            &findings("#[test]\n#[ignore = \"slow\"]\nfn f() {}"),
            "`#[ignore]`",
        );
        assert_found(
            &findings("#[test]\n#[should_panic]\nfn f() {}"),
            "`#[should_panic]`",
        );
    }

    #[test]
    fn sleep_in_test_code_is_found() {
        let sleep = "fn f() { thread::sleep(TICK) }";
        for code in [
            format!("#[cfg(test)]\nmod tests {{ {sleep} }}"),
            format!("#[tokio::test]\nasync {sleep}"),
            format!("#[test]\n#[cfg(unix)]\n{sleep}"),
        ] {
            assert_found(&findings(&code), "a test sleeps");
        }
        for path in [
            "tests/a.rs",
            "sim/tests/net/b.rs",
            "src/op/tests.rs",
            "xtask/src/c_tests.rs",
        ] {
            assert_found(&findings_in(path, sleep), "a test sleeps");
        }
    }

    #[test]
    fn sleep_outside_of_tests_or_with_a_reason_is_accepted() {
        let code = "#[cfg(test)]\nuse a::b;\nfn f() { thread::sleep(TICK) }";
        for path in ["src/a.rs", "tests/harness/src/a.rs", "tests/slow.rs"] {
            assert_eq!(findings_in(path, code), [""; 0], "{path}");
        }
        assert_eq!(
            findings_in("sim/tests/a.rs", "fn f() { sim.sleep(TICK) }"),
            [""; 0]
        );
    }

    #[test]
    fn file_that_is_not_rust_is_found() {
        assert_found(&findings("fn f() {\n"), "not Rust");
    }
}
