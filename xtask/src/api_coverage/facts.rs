//! What there is to cover: the functions, slots, events, callbacks, control operations and flags of
//! the file of facts.
//!
//! Which facts these are follows from the file alone. The map says only which constants with the
//! prefix of an option or a flag are none. Knows nothing of the library.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file of facts.
pub const PATH: &str = "tests/data/wsk-facts.json";

const OPTIONS: [&str; 6] = ["SO_", "IP_", "IPV6_", "MCAST_", "TCP_", "UDP_"];
const FLAGS: [&str; 5] = ["WSK_FLAG_", "WSK_TDI_BEHAVIOR_", "MSG_", "AI_", "NI_"];
const IOCTL: &str = "SIO_";
const EVENT: &str = "WSK_EVENT_";

/// What kind of thing a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A function of the system's.
    Function,
    /// A place in a table of the provider's.
    Slot,
    /// A place in a table of the client's, or a bit that enables one.
    Event,
    /// A function of a network module's.
    Callback,
    /// A control operation on the client.
    ClientControlCode,
    /// An option of sockets.
    Option,
    /// A control operation on sockets.
    Ioctl,
    /// A bit of an argument or of a result.
    Flag,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Function => "functions",
            Self::Slot => "slots",
            Self::Event => "events",
            Self::Callback => "callbacks",
            Self::ClientControlCode => "client control codes",
            Self::Option => "options",
            Self::Ioctl => "ioctls",
            Self::Flag => "flags",
        })
    }
}

/// Why a fact may be left uncovered: what the file says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Reserved, by its name or now by its documentation.
    Reserved,
    /// Its documentation is gone.
    Withdrawn,
    /// It never had any.
    Undocumented,
    /// Of the headers that WSK shares with Winsock, and no operation of WSK.
    Winsock,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reserved => "reserved",
            Self::Withdrawn => "withdrawn",
            Self::Undocumented => "undocumented",
            Self::Winsock => "Winsock's",
        })
    }
}

/// Something to cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub kind: Kind,
    /// `TABLE.MEMBER` for a place in a table.
    pub name: String,
    /// Of a constant.
    pub value: Option<i64>,
    pub mark: Option<Mark>,
}

impl Fact {
    /// The name by which code calls it.
    pub fn word(&self) -> &str {
        self.name
            .rsplit_once('.')
            .map_or(&self.name, |(_, member)| member)
    }
}

#[derive(Deserialize)]
struct File {
    constants: Vec<Constant>,
    structs: Vec<Struct>,
    functions: Vec<Named>,
    callbacks: Vec<Callback>,
    control_operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Constant {
    name: String,
    /// Text for a constant that is none of a number.
    value: serde_json::Value,
    kind: String,
    header: String,
}

#[derive(Deserialize)]
struct Struct {
    name: String,
    fields: Vec<Field>,
    #[serde(default)]
    notes: Option<String>,
}

#[derive(Deserialize)]
struct Field {
    name: Option<String>,
    #[serde(rename = "type")]
    ty: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Callback {
    name: String,
    implemented_by: String,
    #[serde(default)]
    notes: Option<String>,
}

#[derive(Deserialize)]
struct Operation {
    call: String,
    code: String,
    value: i64,
    #[serde(default)]
    page: Option<String>,
}

/// Reads what there is to cover. `others` are constants that look like an option or a flag.
pub fn read(json: &str, others: &BTreeSet<String>) -> Result<Vec<Fact>> {
    let file: File = serde_json::from_str(json).with_context(|| format!("cannot read {PATH}"))?;
    let mut facts: Vec<_> = file.functions.iter().map(function).collect();
    facts.extend(file.structs.iter().flat_map(|table| file.places(table)));
    facts.extend(file.callbacks.iter().filter_map(|it| file.event(it)));
    facts.extend(file.control_operations.iter().filter_map(client_control));
    let constants = file
        .constants
        .iter()
        .filter(|it| !others.contains(&it.name));
    facts.extend(constants.filter_map(|it| file.constant(it)));
    facts.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(facts)
}

fn function(function: &Named) -> Fact {
    Fact {
        kind: Kind::Function,
        name: function.name.clone(),
        value: None,
        mark: None,
    }
}

impl File {
    /// The functions of a table; none if it is another structure.
    fn places(&self, table: &Struct) -> Vec<Fact> {
        let name = table.name.as_str();
        let kind = match name {
            _ if name.ends_with("_DISPATCH") && name.starts_with("WSK_PROVIDER_") => Kind::Slot,
            _ if name.ends_with("_DISPATCH") && name.starts_with("WSK_CLIENT_") => Kind::Event,
            _ if name.ends_with("_CHARACTERISTICS") && name.starts_with("NPI_") => Kind::Callback,
            _ => return Vec::new(),
        };
        let functions = table.fields.iter().filter(|field| is_function(&field.ty));
        let place = |field: &Field| {
            let of_function = self.callbacks.iter().find(|it| it.name == field.ty);
            let notes = of_function.and_then(|it| it.notes.as_deref());
            Some(Fact {
                kind,
                name: format!("{name}.{}", field.name.as_deref()?),
                value: None,
                mark: noted(notes).or(noted(table.notes.as_deref())),
            })
        };
        functions.filter_map(place).collect()
    }

    /// A function of the client's that has no place in a table.
    fn event(&self, callback: &Callback) -> Option<Fact> {
        let mut fields = self.structs.iter().flat_map(|table| &table.fields);
        let placed = fields.any(|field| field.ty == callback.name);
        (callback.implemented_by == "client" && !placed).then(|| Fact {
            kind: Kind::Event,
            name: callback.name.clone(),
            value: None,
            mark: noted(callback.notes.as_deref()),
        })
    }

    fn constant(&self, constant: &Constant) -> Option<Fact> {
        let name = constant.name.as_str();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let kind = match name {
            _ if constant.kind != "define" => return None,
            _ if begins(&OPTIONS) => Kind::Option,
            _ if begins(&FLAGS) => Kind::Flag,
            _ if begins(&[IOCTL]) => Kind::Ioctl,
            _ if begins(&[EVENT]) => Kind::Event,
            _ => return None,
        };
        let operation = self.control_operations.iter().find(|it| it.code == name);
        let withdrawn = operation
            .and_then(|it| it.page.as_deref())
            .is_some_and(|page| page == "wsk.h comment only");
        let mark = match operation {
            _ if name.contains("_RESERVED_") => Some(Mark::Reserved),
            Some(_) => withdrawn.then_some(Mark::Withdrawn),
            None => (constant.header != "wsk.h").then_some(Mark::Winsock),
        };
        Some(Fact {
            kind,
            name: name.to_owned(),
            value: constant.value.as_i64(),
            mark,
        })
    }
}

fn is_function(ty: &str) -> bool {
    ty.starts_with("PFN_") || ty.starts_with("PNPI_") && ty.ends_with("_FN")
}

fn client_control(operation: &Operation) -> Option<Fact> {
    (operation.call == "WskControlClient").then(|| Fact {
        kind: Kind::ClientControlCode,
        name: operation.code.clone(),
        value: Some(operation.value),
        mark: None,
    })
}

/// What the notes on a function or a table say.
fn noted(notes: Option<&str>) -> Option<Mark> {
    let notes = notes?.to_lowercase();
    let says = |words: &str| notes.contains(words);
    match () {
        () if says("the slot reserved") => Some(Mark::Reserved),
        () if says("withdrawn") => Some(Mark::Withdrawn),
        () if says("undocumented") => Some(Mark::Undocumented),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "functions": [{"name": "WskRegister"}],
        "structs": [
            {"name": "WSK_PROVIDER_DISPATCH", "fields": [
                {"name": "Version", "type": "USHORT"},
                {"name": "WskSocket", "type": "PFN_WSK_SOCKET"},
                {"name": "WskSendEx", "type": "PFN_WSK_SEND_EX"}]},
            {"name": "WSK_PROVIDER_NDK_DISPATCH", "notes": "Undocumented.", "fields": [
                {"name": "Open", "type": "PFN_OPEN"}]},
            {"name": "WSK_CLIENT_DISPATCH", "fields": [
                {"name": "WskClientEvent", "type": "PFN_WSK_CLIENT_EVENT"}]},
            {"name": "WSK_BUF", "fields": [{"name": "Mdl", "type": "PFN_NONE"}]},
            {"name": "NPI_CLIENT_CHARACTERISTICS", "fields": [
                {"name": "ClientAttachProvider", "type": "PNPI_ATTACH_FN"}]}
        ],
        "callbacks": [
            {"name": "PFN_WSK_SEND_EX", "implemented_by": "WSK subsystem",
             "notes": "Docs now call the slot reserved."},
            {"name": "PFN_WSK_CLIENT_EVENT", "implemented_by": "client"},
            {"name": "PFN_LOST", "implemented_by": "client", "notes": "Docs were withdrawn."}
        ],
        "control_operations": [
            {"call": "WskControlClient", "code": "WSK_CACHE_SD", "value": 4},
            {"call": "WskControlSocket", "code": "SO_BROADCAST", "value": 32},
            {"call": "WskControlSocket", "code": "SIO_EX", "value": 7,
             "page": "wsk.h comment only"}
        ],
        "constants": [
            {"name": "WSK_CACHE_SD", "value": 4, "kind": "define", "header": "wsk.h"},
            {"name": "SO_BROADCAST", "value": 32, "kind": "define", "header": "ws2def.h"},
            {"name": "SO_DEBUG", "value": 1, "kind": "define", "header": "ws2def.h"},
            {"name": "SIO_EX", "value": 7, "kind": "define", "header": "wsk.h"},
            {"name": "SIO_RESERVED_1", "value": 8, "kind": "define", "header": "ws2def.h"},
            {"name": "IP_MODE", "value": 1, "kind": "enum member", "header": "ws2ipdef.h"},
            {"name": "NI_MAXHOST", "value": 1025, "kind": "define", "header": "ws2def.h"},
            {"name": "WSK_FLAG_OOB", "value": 1, "kind": "define", "header": "wsk.h"},
            {"name": "WSK_EVENT_ACCEPT", "value": 512, "kind": "define", "header": "wsk.h"}
        ]
    }"#;

    #[test]
    fn facts_are_those_of_the_file_with_their_marks() {
        let others = BTreeSet::from(["NI_MAXHOST".to_owned()]);
        let facts = read(FILE, &others).unwrap();
        let facts: Vec<_> = facts
            .iter()
            .map(|fact| (fact.kind, fact.name.as_str(), fact.mark))
            .collect();
        let expected = [
            (Kind::Function, "WskRegister", None),
            (
                Kind::Slot,
                "WSK_PROVIDER_DISPATCH.WskSendEx",
                Some(Mark::Reserved),
            ),
            (Kind::Slot, "WSK_PROVIDER_DISPATCH.WskSocket", None),
            (
                Kind::Slot,
                "WSK_PROVIDER_NDK_DISPATCH.Open",
                Some(Mark::Undocumented),
            ),
            (Kind::Event, "PFN_LOST", Some(Mark::Withdrawn)),
            (Kind::Event, "WSK_CLIENT_DISPATCH.WskClientEvent", None),
            (Kind::Event, "WSK_EVENT_ACCEPT", None),
            (
                Kind::Callback,
                "NPI_CLIENT_CHARACTERISTICS.ClientAttachProvider",
                None,
            ),
            (Kind::ClientControlCode, "WSK_CACHE_SD", None),
            (Kind::Option, "SO_BROADCAST", None),
            (Kind::Option, "SO_DEBUG", Some(Mark::Winsock)),
            (Kind::Ioctl, "SIO_EX", Some(Mark::Withdrawn)),
            (Kind::Ioctl, "SIO_RESERVED_1", Some(Mark::Reserved)),
            (Kind::Flag, "WSK_FLAG_OOB", None),
        ];
        assert_eq!(facts, expected);
    }

    #[test]
    fn word_of_a_place_is_its_member() {
        let others = BTreeSet::new();
        let facts = read(FILE, &others).unwrap();
        let words: Vec<_> = facts[..3].iter().map(Fact::word).collect();
        assert_eq!(words, ["WskRegister", "WskSendEx", "WskSocket"]);
    }
}
