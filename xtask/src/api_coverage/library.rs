//! What the library offers: its public items, what their documentation names, and where its code
//! uses a name of C's.
//!
//! An index by names, not a compiler: that an item can be used from outside is shown by the test
//! that uses it. Knows nothing of facts.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::statements::{self, Statement};
use crate::tidy::Source;

/// The module that is the library.
const ROOT: &str = "src";

/// The public items, and the names in the code.
#[derive(Debug, Default)]
pub struct Library {
    items: Vec<Item>,
    /// The public modules.
    modules: BTreeSet<String>,
    /// What each module makes public.
    exports: BTreeMap<String, BTreeSet<String>>,
    /// Where each name is used first, outside `use`.
    uses: BTreeMap<String, String>,
}

/// A public item.
#[derive(Debug)]
pub struct Item {
    name: String,
    /// What stands around it: the type or trait it is of, among others.
    owners: BTreeSet<String>,
    file: String,
    line: usize,
    documented: BTreeSet<String>,
}

impl Item {
    /// `FILE:LINE`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// Whether its documentation names this.
    pub fn names(&self, word: &str) -> bool {
        self.documented.contains(word)
    }
}

/// What surrounds statements.
#[derive(Clone, Default)]
struct Around {
    owners: BTreeSet<String>,
    /// What is declared here is as visible as what it is part of.
    inherits: bool,
    in_macro: bool,
    /// It is code, which declares nothing public.
    is_body: bool,
}

impl Library {
    /// Reads the library's sources.
    pub fn read(sources: &[Source]) -> Result<Self> {
        let mut library = Self::default();
        for source in sources.iter().filter(|source| is_of_library(source)) {
            let statements = statements::parse(&source.path, &source.text)?;
            library.add(source, &statements, &Around::default());
        }
        library.modules.insert(ROOT.to_owned());
        Ok(library)
    }

    fn add(&mut self, source: &Source, statements: &[Statement], around: &Around) {
        for statement in statements.iter().filter(|it| !it.is_for_tests()) {
            if statement.words().any(|word| word == "use") {
                if statement.is_public() && around.owners.is_empty() {
                    self.exports_of(source).extend(statement.imported());
                }
                continue;
            }
            self.add_item(source, statement, around);
            for word in statement.words() {
                let place = || format!("{}:{}", source.path, statement.line());
                self.uses.entry(word).or_insert_with(place);
            }
            let inner = inside(source, statement, around);
            for group in statement.groups() {
                self.add(source, &statements::split(group.stream()), &inner);
            }
        }
    }

    fn add_item(&mut self, source: &Source, statement: &Statement, around: &Around) {
        let is_function = statement.words().any(|word| word == "fn");
        let inherits = around.inherits || around.in_macro && !is_function;
        let Some(name) = statement.name() else {
            return;
        };
        if around.is_body || !(statement.is_public() || inherits) {
            return;
        }
        if around.owners.is_empty() || around.in_macro {
            self.exports_of(source).insert(name.clone());
        }
        if statement.words().any(|word| word == "mod") {
            let module = format!("{}/{name}", module_of(&source.path));
            self.modules.insert(module);
        }
        self.items.push(Item {
            name,
            owners: around.owners.clone(),
            file: source.path.clone(),
            line: statement.line(),
            documented: statement.documented(),
        });
    }

    fn exports_of(&mut self, source: &Source) -> &mut BTreeSet<String> {
        self.exports
            .entry(module_of(&source.path).to_owned())
            .or_default()
    }

    /// The public item with this path, as `Type::member` or `module::CONSTANT`.
    pub fn find(&self, path: &str) -> Option<&Item> {
        let names: Vec<_> = path.split("::").collect();
        let is_module = |name: &&&str| name.starts_with(|c: char| c.is_ascii_lowercase());
        let depth = names[..names.len() - 1]
            .iter()
            .take_while(is_module)
            .count();
        let (modules, names) = names.split_at(depth);
        let module = [&[ROOT], modules].concat().join("/");
        let exports = self
            .exports
            .get(&module)
            .filter(|_| self.modules.contains(&module))?;
        let mut items = self.items.iter().filter(|item| self.home(item) == module);
        match names {
            [name] if exports.contains(*name) => {
                items.find(|item| item.name == *name && item.is_of_module())
            }
            [owner, name] if exports.contains(*owner) => {
                items.find(|item| item.name == *name && item.owners.contains(*owner))
            }
            _ => None,
        }
    }

    /// The public module that an item is in, or that makes it public.
    fn home<'a>(&self, item: &'a Item) -> &'a str {
        let mut module = module_of(&item.file);
        while !self.modules.contains(module) {
            module = module.rsplit_once('/').map_or(ROOT, |(outer, _)| outer);
        }
        module
    }

    /// Where the library's code uses a name: `FILE:LINE`.
    pub fn uses(&self, word: &str) -> Option<&str> {
        self.uses.get(word).map(String::as_str)
    }
}

impl Item {
    /// Whether it is declared for a module, perhaps by a macro, and for no type.
    fn is_of_module(&self) -> bool {
        self.owners
            .iter()
            .all(|owner| owner.starts_with(|c: char| c.is_ascii_lowercase()))
    }
}

/// The module that a file is.
fn module_of(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let folder = stem.strip_suffix("/mod").or(stem.strip_suffix("/lib"));
    folder.unwrap_or(stem)
}

/// Whether a file is part of the library as drivers have it.
fn is_of_library(source: &Source) -> bool {
    source.is_rust() && source.path.starts_with("src/") && !source.path.ends_with("/tests.rs")
}

/// What surrounds the statements in the braces of one.
fn inside(source: &Source, statement: &Statement, around: &Around) -> Around {
    let header = statement.header();
    let has = |wanted: &str| header.contains(wanted);
    let in_macro = around.in_macro || statement.has_sign('!');
    let mut owners = header.clone();
    if statement.has_sign('$') {
        // A macro makes it for types that are named elsewhere in the file.
        let words = source
            .text
            .split(|c: char| !(c.is_alphanumeric() || c == '_'));
        owners.extend(words.map(str::to_owned));
    }
    Around {
        inherits: has("trait") || has("enum"),
        is_body: around.is_body
            || has("fn")
            || statement.words().next().is_some_and(|it| it == "let"),
        owners,
        in_macro,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Library {
        let sources = [
            (
                "src/lib.rs",
                "pub mod option;\nmod socket;\npub use self::socket::{Socket, Events};\n\
                 pub mod request { pub use self::socket::Inner; }\n",
            ),
            (
                "src/option/mod.rs",
                "pub mod tcp;\noptions! { LEVEL; /// `SO_A`\nA: Flag, On = SO_A, Any; }\n",
            ),
            (
                "src/option/tcp.rs",
                "use c::TCP_B;\noptions! { TCP;\nB: Flag = TCP_B, Any; }\n",
            ),
            (
                "src/socket.rs",
                "use c::{WSK_UNUSED};\npub struct Socket;\n\
                 impl Socket {\n#[doc(alias = \"WskSend\")]\npub fn send(&self) { table.WskSend }\n\
                 fn hidden(&self) {}\npub(crate) fn inner() {} }\n\
                 pub trait Events { fn accept(&self); }\npub struct Private;\n\
                 impl Private { pub fn lost() {} }\n\
                 macro_rules! m { ($($s:ident)*) => {\n\
                 $(/// a\nimpl $s { pub fn made(&self) {} })* } }\n\
                 m! { Socket }\nflags! { Flags { X = WSK_X; } }\n\
                 #[cfg(test)]\nmod tests { fn a() { WskOnlyTested } }\n",
            ),
        ];
        let sources = sources.map(|(path, text)| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        Library::read(&sources).unwrap()
    }

    #[test]
    fn public_items_are_found_by_their_path() {
        let library = library();
        for path in [
            "Socket",
            "Socket::send",
            "Socket::made",
            "Events::accept",
            "option::A",
            "option::tcp::B",
        ] {
            assert!(library.find(path).is_some(), "{path}");
        }
        assert_eq!(
            library.find("Socket::send").unwrap().place(),
            "src/socket.rs:5"
        );
    }

    #[test]
    fn what_is_not_public_is_not_found() {
        let library = library();
        for path in [
            "Socket::hidden",
            "Socket::inner",
            "Private",
            "Private::lost",
            "socket::Socket",
            "Events::send",
            "option::B",
            "option::udp::B",
            "Inner",
            "Flags::X",
            "send",
        ] {
            assert!(library.find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn documentation_of_an_item_is_its_own() {
        let library = library();
        assert!(library.find("Socket::send").unwrap().names("WskSend"));
        assert!(library.find("option::A").unwrap().names("SO_A"));
        assert!(!library.find("option::tcp::B").unwrap().names("TCP_B"));
    }

    #[test]
    fn imports_and_tests_use_nothing() {
        let library = library();
        assert!(library.uses("WskSend").is_some() && library.uses("TCP_B").is_some());
        assert_eq!(library.uses("WSK_UNUSED"), None);
        assert_eq!(library.uses("WskOnlyTested"), None);
    }
}
