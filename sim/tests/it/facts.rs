//! The table of control operations in the file of facts, as far as the tests read it.

use serde_json::Value;

const FILE: &str = include_str!("../../../tests/data/wsk-facts.json");

/// One row.
pub struct Row(Value);

/// The rows of `WskControlSocket` or `WskControlClient`.
pub fn of(call: &str) -> Vec<Row> {
    let mut facts: Value = serde_json::from_str(FILE).unwrap();
    let Value::Array(rows) = facts["control_operations"].take() else {
        panic!("the table is missing");
    };
    let rows = rows.into_iter().map(Row);
    let found: Vec<_> = rows.filter(|row| row.text("call") == call).collect();
    assert!(!found.is_empty(), "no rows for {call}");
    found
}

/// The rows of options.
pub fn options() -> Vec<Row> {
    let all = of("WskControlSocket").into_iter();
    all.filter(|row| !row.is_ioctl()).collect()
}

/// The rows of control codes.
pub fn ioctls() -> Vec<Row> {
    let all = of("WskControlSocket").into_iter();
    all.filter(Row::is_ioctl).collect()
}

impl Row {
    fn text(&self, column: &str) -> &str {
        self.0[column].as_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.text("code")
    }

    pub fn code(&self) -> u32 {
        u32::try_from(self.0["value"].as_u64().unwrap()).unwrap()
    }

    /// The number in the parentheses of a level, as in `SOL_SOCKET (0xFFFF)`.
    pub fn level(&self) -> u32 {
        let (_, number) = self.text("level").split_once('(').unwrap();
        let number = number.trim_end_matches(')');
        let level = match number.strip_prefix("0x") {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => number.parse(),
        };
        level.unwrap()
    }

    fn is_ioctl(&self) -> bool {
        self.can("WskIoctl")
    }

    /// Whether this kind of request exists for it.
    pub fn can(&self, request: &str) -> bool {
        let requests = self.0["request"].as_array();
        requests.is_some_and(|requests| requests.iter().any(|one| one == request))
    }

    /// Whether it exists for sockets of this category.
    pub fn applies_to(&self, category: &str) -> bool {
        let categories = self.0["applies_to"].as_array().unwrap();
        categories.iter().any(|one| one == category || one == "all")
    }

    pub fn size(&self) -> usize {
        usize::try_from(self.0["size64"].as_u64().unwrap()).unwrap()
    }

    /// The size of the input, if there is one size.
    pub fn input_size(&self) -> Option<usize> {
        usize::try_from(self.0["input_size64"].as_u64()?).ok()
    }

    /// The size of the output, if there is one size.
    pub fn output_size(&self) -> Option<usize> {
        usize::try_from(self.0["output_size64"].as_u64()?).ok()
    }

    pub fn default(&self) -> &str {
        self.text("default")
    }

    pub fn is_before_bind(&self) -> bool {
        self.text("when") == "set before bind"
    }

    pub fn is_before_sockets(&self) -> bool {
        self.text("when") == "before any socket is created"
    }

    pub fn irp_required(&self) -> bool {
        self.text("irp").starts_with("required")
    }

    pub fn irp_must_be_null(&self) -> bool {
        self.text("irp") == "must be NULL"
    }

    pub fn only_at_passive(&self) -> bool {
        self.text("irql") == "PASSIVE_LEVEL"
    }

    pub fn tells_size(&self) -> bool {
        self.text("output_size_returned").starts_with("required")
    }
}
