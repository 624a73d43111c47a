//! The file of facts, as far as the tests read it.

use serde::Deserialize;

const FILE: &str = include_str!("../../../tests/data/wsk-facts.json");

/// Everything known about the interface. See `meta` in the file for how certain it is and how to
/// compare.
#[derive(Deserialize)]
pub struct Facts {
    pub constants: Vec<Constant>,
    pub function_like_macros: Vec<Macro>,
    pub types: Vec<TypeName>,
    pub structs: Vec<Struct>,
    pub functions: Vec<Function>,
    pub callbacks: Vec<Function>,
    pub guids: Vec<Guid>,
    pub control_operations: Vec<ControlOperation>,
}

/// A macro without parameters, or a member of an enumeration.
#[derive(Deserialize)]
pub struct Constant {
    pub name: String,
    pub value: serde_json::Value,
    pub kind: String,
    #[serde(rename = "enum")]
    pub enumeration: Option<String>,
    pub header: String,
}

/// A macro with parameters, by what it gives for some arguments.
#[derive(Deserialize)]
pub struct Macro {
    pub name: String,
    pub samples: Vec<Sample>,
}

#[derive(Deserialize)]
pub struct Sample {
    /// Numbers, or names of constants.
    pub args: Vec<serde_json::Value>,
    pub value: u64,
}

#[derive(Deserialize)]
pub struct TypeName {
    pub name: String,
    pub definition: String,
    pub size64: u64,
}

#[derive(Deserialize)]
pub struct Struct {
    pub name: String,
    pub tag: Option<String>,
    pub kind: String,
    pub size64: u64,
    pub align64: u64,
    pub typedefs: Vec<String>,
    pub pointer_typedefs: Vec<PointerTypedef>,
    pub fields: Vec<Field>,
}

#[derive(Deserialize)]
pub struct PointerTypedef {
    pub name: String,
    pub to: String,
}

/// A member; one without a name is an embedded structure or union.
#[derive(Deserialize)]
pub struct Field {
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub ty: String,
    pub offset64: u64,
    pub size64: u64,
    pub bit_offset: Option<u64>,
    pub bit_width: Option<u64>,
    #[serde(default)]
    pub members: Vec<Field>,
}

/// A function, a pointer to a function, or a function type.
#[derive(Deserialize)]
pub struct Function {
    pub name: String,
    pub params: Vec<Parameter>,
    pub ret: String,
    #[serde(default)]
    pub inline: bool,
    #[serde(default)]
    pub members: Vec<Slot>,
}

#[derive(Deserialize)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub size64: Option<u64>,
}

/// Where a dispatch table has a callback.
#[derive(Deserialize)]
pub struct Slot {
    pub table: String,
    pub member: String,
    pub offset64: u64,
}

#[derive(Deserialize)]
pub struct Guid {
    pub name: String,
    pub value: String,
}

#[derive(Deserialize)]
pub struct ControlOperation {
    pub code: String,
    pub value: i64,
    pub input: Option<String>,
    #[serde(default)]
    pub input_size64: serde_json::Value,
    pub output: Option<String>,
    #[serde(default)]
    pub output_size64: serde_json::Value,
}

impl Facts {
    pub fn load() -> Self {
        serde_json::from_str(FILE).expect("tests/data/wsk-facts.json has the members read here")
    }
}

impl Constant {
    /// The number, modulo 2^32; none for a string.
    pub fn number(&self) -> Option<u32> {
        self.value.as_i64().map(modulo)
    }
}

/// How numbers are compared: a C expression may be signed where its use is not.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "modulo 2^32 is the rule of comparison"
)]
pub fn modulo(value: i64) -> u32 {
    value as u32
}
