//! The facts test of the headers themselves: each fact becomes an assertion in C, which clang
//! checks for x64 and for arm64. This sees what bindgen does not: macros with casts, function-like
//! macros, and the members of embedded structures without a name.
//!
//! The program clang is used, not the library that bindgen loads: these tests may be linked
//! statically, and then they cannot load a library.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::data::{Facts, Field, Function, Parameter, Struct};

/// An architecture's name for the compiler, and the names that wdk-build defines for it.
const X64: (&str, &[&str]) = ("x86_64", &["_WIN64", "_AMD64_", "AMD64"]);
const ARM64: (&str, &[&str]) = (
    "aarch64",
    &["_ARM64_", "ARM64", "_USE_DECLSPECS_FOR_SAL=1", "STD_CALL"],
);

const HEADERS: &str = "#include <ntifs.h>\n#include <ntddk.h>\n#include <ntstrsafe.h>\n\
    #include <wsk.h>\n#include <wskndk.h>\n";

#[test]
fn headers_compared_with_the_facts_for_x64_agree() {
    let assertions = Assertions::of(&Facts::load());
    assertions.tell("x64");
    assert_eq!(compile(X64, &assertions.text), "");
}

#[test]
fn headers_compared_with_the_facts_for_arm64_agree() {
    let assertions = Assertions::of(&Facts::load());
    assertions.tell("arm64");
    assert_eq!(compile(ARM64, &assertions.text), "");
}

#[test]
fn headers_compared_with_wrong_facts_are_refused() {
    let mut facts = Facts::load();
    let transport = facts
        .structs
        .iter_mut()
        .find(|it| it.name == "WSK_TRANSPORT");
    transport.expect("a fact").size64 = 32;
    let socket = facts
        .callbacks
        .iter_mut()
        .find(|it| it.name == "PFN_WSK_SOCKET");
    socket.expect("a fact").params[6].ty = "VOID *".into();
    let message = compile(X64, &Assertions::of(&facts).text);
    assert_eq!(message.matches("error:").count(), 2, "{message}");
    assert!(message.contains("size of WSK_TRANSPORT"), "{message}");
    assert!(message.contains("PFN_WSK_SOCKET is"), "{message}");
}

/// Lets the compiler read the headers and `text`, with the include path and the options that the
/// bindings are generated with; gives what it finds wrong.
fn compile((architecture, definitions): (&str, &[&str]), text: &str) -> String {
    let includes = env::split_paths(env!("WSK_SYS_INCLUDE"));
    let clang = clang();
    let mut compiler = Command::new(&clang)
        .args([
            &format!("--target={architecture}-pc-windows-msvc"),
            "-fsyntax-only",
            "-nostdinc",
            "-w",
        ])
        .args([
            "-fms-compatibility",
            "-fms-extensions",
            "-ferror-limit=0",
            "-D_KERNEL_MODE",
        ])
        .args(
            definitions
                .iter()
                .map(|definition| format!("-D{definition}")),
        )
        .args(includes.map(|path| format!("-I{}", path.display())))
        .args(["-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", clang.display()));
    let mut input = compiler.stdin.take().expect("the input is piped");
    input
        .write_all(format!("{HEADERS}{text}").as_bytes())
        .expect("the compiler reads its input");
    drop(input);
    let output = compiler.wait_with_output().expect("the compiler ends");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), message.is_empty(), "{message}");
    message
}

/// The compiler that came with the library of `LIBCLANG_PATH`, which bindgen uses; without that
/// name, the one in PATH.
fn clang() -> PathBuf {
    let program = format!("clang{}", env::consts::EXE_SUFFIX);
    let Some(library) = env::var_os("LIBCLANG_PATH").map(PathBuf::from) else {
        return program.into();
    };
    let places = [
        library.join(&program),
        library.join("../bin").join(&program),
    ];
    places
        .iter()
        .find(|it| it.is_file())
        .cloned()
        .unwrap_or_else(|| {
            panic!(
                "no compiler at {} or {}: install clang beside its library",
                places[0].display(),
                places[1].display()
            )
        })
}

/// C text under construction.
struct Assertions {
    text: String,
    count: usize,
    /// Facts that C cannot state: no constant expression reads a bit field. The bindings are
    /// compared with them.
    bit_fields: usize,
    /// What stands before the tag of a type in C: `struct` or `union`.
    tags: BTreeMap<String, String>,
}

impl Assertions {
    /// Says how many they are.
    fn tell(&self, target: &str) {
        let Self {
            count, bit_fields, ..
        } = self;
        crate::tell(&format!(
            "{count:5} assertions on the headers for {target}, \
             {bit_fields} bit fields left to the bindings"
        ));
    }

    fn of(facts: &Facts) -> Self {
        let tags = facts.structs.iter();
        let tags = tags
            .filter_map(|it| Some((it.tag.clone()?, it.kind.clone())))
            .collect();
        let mut all = Self {
            text: String::new(),
            count: 0,
            bit_fields: 0,
            tags,
        };
        all.constants(facts);
        all.types(facts);
        for fact in &facts.structs {
            all.structure(fact);
        }
        for fact in &facts.functions {
            let found = format!("__typeof__({})", fact.name);
            let expected = all.function_type(fact, "");
            all.same_type(&found, &expected);
        }
        for fact in &facts.callbacks {
            let pointer = if fact.name.ends_with("_FN") {
                ""
            } else {
                "(*)"
            };
            let expected = all.function_type(fact, pointer);
            all.same_type(&fact.name, &expected);
        }
        all
    }

    /// One fact about a number.
    fn equal(&mut self, expression: &str, value: u64, subject: &str) {
        self.count += 1;
        writeln!(
            self.text,
            "_Static_assert({expression} == {value}ull, \"{subject}\");"
        )
        .expect("a string can be written to");
    }

    /// One fact about a type. Calling conventions need no word on 64-bit Windows.
    fn same_type(&mut self, found: &str, expected: &str) {
        let expected = self.c(expected);
        let test = format!("__builtin_types_compatible_p({found}, {expected})");
        self.equal(&test, 1, &format!("{found} is {expected}"));
    }

    fn constants(&mut self, facts: &Facts) {
        for fact in facts.constants.iter().filter(|it| it.kind != "computed") {
            let name = &fact.name;
            match (fact.number(), fact.value.as_str()) {
                (Some(number), _) => {
                    self.equal(&format!("(unsigned)({name})"), number.into(), name);
                }
                (None, text) => {
                    // The compiler does not compare strings; their length it does.
                    let units = text.expect("a constant is a string or a number").len() as u64 + 1;
                    self.equal(&format!("sizeof({name})"), 2 * units, name);
                }
            }
        }
        for (fact, sample) in facts
            .function_like_macros
            .iter()
            .flat_map(|fact| fact.samples.iter().map(move |it| (fact, it)))
        {
            let arguments: Vec<_> = sample
                .args
                .iter()
                .map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned))
                .collect();
            let call = format!("{}({})", fact.name, arguments.join(", "));
            self.equal(&format!("(unsigned)({call})"), sample.value, &call);
        }
    }

    fn types(&mut self, facts: &Facts) {
        for fact in &facts.types {
            self.equal(
                &format!("sizeof({})", fact.name),
                fact.size64,
                &format!("size of {}", fact.name),
            );
            let alternatives: Vec<_> = fact
                .definition
                .split(" / ")
                .map(|it| {
                    format!(
                        "__builtin_types_compatible_p({}, {})",
                        fact.name,
                        self.c(it)
                    )
                })
                .collect();
            self.equal(
                &format!("({})", alternatives.join(" || ")),
                1,
                &format!("definition of {}", fact.name),
            );
        }
    }

    fn structure(&mut self, fact: &Struct) {
        // Without a typedef, the tag is the name.
        let name = if fact.typedefs.is_empty() {
            self.c(&fact.name)
        } else {
            fact.name.clone()
        };
        self.equal(
            &format!("sizeof({name})"),
            fact.size64,
            &format!("size of {name}"),
        );
        self.equal(
            &format!("_Alignof({name})"),
            fact.align64,
            &format!("alignment of {name}"),
        );
        for typedef in &fact.typedefs {
            self.same_type(typedef, &name);
        }
        if let Some(tag) = &fact.tag {
            self.same_type(&name, tag);
        }
        for typedef in &fact.pointer_typedefs {
            self.same_type(&typedef.name, &typedef.to);
        }
        self.fields(&name, "", &fact.fields);
    }

    /// The members at `path` in a structure.
    fn fields(&mut self, owner: &str, path: &str, fields: &[Field]) {
        for field in fields {
            let Some(name) = &field.name else {
                self.fields(owner, path, &field.members);
                continue;
            };
            if field.bit_width.is_some() {
                self.bit_fields += 1;
                continue;
            }
            let path = format!("{path}{name}");
            let subject = format!("{owner}.{path}");
            if let Some(first) = first_of_unnamed(owner, name) {
                self.equal(
                    &format!("__builtin_offsetof({owner}, {first})"),
                    field.offset64,
                    &subject,
                );
                continue;
            }
            let member = format!("(({owner} *)0)->{path}");
            self.equal(
                &format!("__builtin_offsetof({owner}, {path})"),
                field.offset64,
                &format!("offset of {subject}"),
            );
            self.equal(
                &format!("sizeof({member})"),
                field.size64,
                &format!("size of {subject}"),
            );
            if field.members.is_empty() {
                self.same_type(&format!("__typeof__({member})"), &field.ty);
            } else {
                self.fields(owner, &format!("{path}."), &field.members);
            }
        }
    }

    /// The type of a function, or with `pointer` of a pointer to one.
    fn function_type(&self, fact: &Function, pointer: &str) -> String {
        let parameters: Vec<_> = fact
            .params
            .iter()
            .map(|Parameter { ty, .. }| self.c(ty))
            .collect();
        format!("{} {pointer}({})", self.c(&fact.ret), parameters.join(", "))
    }

    /// Facts leave the words `struct` and `union` out, and describe two types in words.
    fn c(&self, text: &str) -> String {
        match text {
            "unsigned 64-bit" => "unsigned __int64".into(),
            // Any enumeration is compatible with the integer it is made of, which is int.
            "enum (int)" => "int".into(),
            "_EPROCESS *" => "struct _EPROCESS *".into(),
            "_ETHREAD *" => "struct _ETHREAD *".into(),
            _ => {
                let (constant, rest) = match text.strip_prefix("const ") {
                    Some(rest) => ("const ", rest),
                    None => ("", text),
                };
                let name = rest.split([' ', '[']).next().unwrap_or(rest);
                let kind = self
                    .tags
                    .get(name)
                    .map_or(String::new(), |kind| format!("{kind} "));
                format!("{constant}{kind}{rest}")
            }
        }
    }
}

/// In C, an embedded structure without a name is known by its first member.
fn first_of_unnamed(owner: &str, name: &str) -> Option<&'static str> {
    match (owner, name) {
        (_, "Basic") => Some("WskControlSocket"),
        ("INET_PORT_RESERVATION_INSTANCE", "Reservation") => Some("StartPort"),
        ("INET_PORT_RESERVATION_INSTANCE", "Token") => Some("Token"),
        _ => None,
    }
}
