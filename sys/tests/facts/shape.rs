//! A C type with its names resolved, so that types written in C and in Rust can be compared.

/// What is at the end of the pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    Void,
    Int {
        bytes: u64,
        signed: bool,
    },
    /// A structure or union, by its tag.
    Named(String),
    /// A pointer to a function, by the name of its type.
    Function(String),
}

/// An array of pointers to pointers to a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub base: Base,
    /// From the outside in; true if what it points to is constant.
    pub pointers: Vec<bool>,
    pub dimensions: Vec<u64>,
}

impl Base {
    /// The type of enumerations.
    pub const INT: Self = Self::Int {
        bytes: 4,
        signed: true,
    };

    /// The basic types of C on Windows, and of Rust.
    pub fn primitive(name: &str) -> Option<Self> {
        let (bytes, signed) = match name {
            "void" | "VOID" | "c_void" => return Some(Self::Void),
            "char" | "CHAR" | "c_char" | "c_schar" | "i8" => (1, true),
            "unsigned char" | "c_uchar" | "u8" => (1, false),
            "short" | "c_short" | "i16" => (2, true),
            "unsigned short" | "wchar_t" | "c_ushort" | "u16" => (2, false),
            "int" | "long" | "LONG" | "enum (int)" | "c_int" | "c_long" | "i32" => (4, true),
            "unsigned int" | "unsigned long" | "c_uint" | "c_ulong" | "u32" => (4, false),
            "long long" | "LONGLONG" | "c_longlong" | "i64" | "isize" => (8, true),
            "unsigned 64-bit" | "size_t" | "c_ulonglong" | "u64" | "usize" => (8, false),
            _ => return None,
        };
        Some(Self::Int { bytes, signed })
    }
}

impl Shape {
    pub const fn of(base: Base) -> Self {
        Self {
            base,
            pointers: Vec::new(),
            dimensions: Vec::new(),
        }
    }

    /// A pointer to this.
    pub fn behind(mut self, constant: bool) -> Self {
        self.pointers.insert(0, constant);
        self
    }

    /// An array of this.
    pub fn times(mut self, count: u64) -> Self {
        self.dimensions.insert(0, count);
        self
    }
}

/// The type that C text stands for; `named` resolves a name.
pub fn parse_c(text: &str, named: impl Fn(&str) -> Result<Shape, String>) -> Result<Shape, String> {
    if let Some((element, count)) = text
        .strip_suffix(']')
        .and_then(|text| text.rsplit_once('['))
    {
        let count = count.parse().map_err(|_| format!("{text}: no length"))?;
        return Ok(parse_c(element, named)?.times(count));
    }
    let name = text.trim_end_matches(['*', ' ']);
    let pointers = text[name.len()..].matches('*').count();
    let (constant, name) = match name.strip_prefix("const ") {
        Some(name) => (true, name),
        None => (false, name),
    };
    let name = name.strip_prefix("struct ").unwrap_or(name);
    let mut shape = named(name)?;
    for level in 0..pointers {
        shape = shape.behind(constant && level == 0);
    }
    Ok(shape)
}
