//! Compares the model of the bindings with the facts, and counts.

use std::collections::BTreeMap;

use crate::{
    bindings::Bindings,
    data::{Constant, ControlOperation, Facts, Guid, Macro, TypeName, modulo},
    shape::{Shape, parse_c},
    values,
};

/// The outcome: how many facts of each kind were compared, and what is wrong.
#[derive(Default)]
pub struct Report {
    pub compared: BTreeMap<&'static str, usize>,
    pub wrong: Vec<String>,
}

pub fn compare(facts: &Facts, bindings: &Bindings) -> Report {
    let mut comparison = Comparison {
        bindings,
        report: Report::default(),
    };
    facts
        .constants
        .iter()
        .for_each(|it| comparison.constant(it));
    facts
        .function_like_macros
        .iter()
        .for_each(|it| comparison.function_like_macro(it));
    facts.types.iter().for_each(|it| comparison.type_name(it));
    facts.structs.iter().for_each(|it| comparison.structure(it));
    facts
        .functions
        .iter()
        .for_each(|it| comparison.function(it));
    facts
        .callbacks
        .iter()
        .for_each(|it| comparison.callback(it));
    facts.guids.iter().for_each(|it| comparison.guid(it));
    facts
        .control_operations
        .iter()
        .for_each(|it| comparison.control_operation(it));
    comparison.report
}

pub struct Comparison<'a> {
    pub bindings: &'a Bindings,
    report: Report,
}

impl Comparison<'_> {
    /// One fact: what the file says against what the bindings say.
    pub fn check<T: PartialEq + std::fmt::Debug>(
        &mut self,
        kind: &'static str,
        subject: &str,
        expected: &T,
        found: Result<T, String>,
    ) {
        *self.report.compared.entry(kind).or_default() += 1;
        match found {
            Ok(found) if found == *expected => {}
            Ok(found) => {
                let line =
                    format!("{kind} of {subject}: {found:x?}, but it should be {expected:x?}");
                self.report.wrong.push(line);
            }
            Err(reason) => self
                .report
                .wrong
                .push(format!("{kind} of {subject}: {reason}")),
        }
    }

    fn constant(&mut self, fact: &Constant) {
        let name = &fact.name;
        if let Some(text) = fact.value.as_str() {
            let found = values::text(name).ok_or("no such string".into());
            return self.check("string", name, &text.to_owned(), found);
        }
        let expected = fact.number().expect("a constant is a string or a number");
        if fact.kind == "enum member" {
            let found = self.enum_member(fact);
            return self.check("enum member", name, &expected, found);
        }
        let kind = if fact.header == "ntstatus.h" {
            "status"
        } else {
            "constant"
        };
        let found = self.number(name);
        self.check(kind, name, &expected, found);
    }

    fn number(&self, name: &str) -> Result<u32, String> {
        self.bindings
            .numbers
            .get(name)
            .map(|it| modulo(*it))
            .ok_or("no such constant".into())
    }

    /// A member of the enumeration that the fact names, by its name or its tag; or of any, if it
    /// names none.
    fn enum_member(&self, fact: &Constant) -> Result<u32, String> {
        let enums = &self.bindings.enums;
        let value = match &fact.enumeration {
            Some(name) => enums
                .get(name)
                .ok_or("no such enumeration")?
                .get(&fact.name),
            None => enums.values().find_map(|members| members.get(&fact.name)),
        };
        value.map(|it| modulo(*it)).ok_or("no such member".into())
    }

    fn function_like_macro(&mut self, fact: &Macro) {
        if fact.name == "WSKAPI" {
            // The calling convention: there is one on 64-bit Windows, which is "C".
            for (name, callback) in &self.bindings.callbacks {
                self.check(
                    "calling convention",
                    name,
                    &"C".to_owned(),
                    Ok(callback.abi.clone()),
                );
            }
            return;
        }
        for sample in &fact.samples {
            let arguments: Result<Vec<u64>, String> = sample
                .args
                .iter()
                .map(|argument| match argument.as_str() {
                    Some(name) => self.number(name).map(u64::from),
                    None => argument.as_u64().ok_or("an argument is no number".into()),
                })
                .collect();
            let found = arguments
                .and_then(|it| values::evaluate(&fact.name, &it).ok_or("no such macro".into()));
            let subject = format!("{}({:?})", fact.name, sample.args);
            self.check("macro sample", &subject, &sample.value, found);
        }
        if fact.samples.is_empty() {
            self.check(
                "macro sample",
                &fact.name,
                &true,
                Err("the fact has no sample".into()),
            );
        }
    }

    fn type_name(&mut self, fact: &TypeName) {
        let found = self.bindings.named(&fact.name);
        let size = found
            .clone()
            .and_then(|it| self.bindings.layout(&it))
            .map(|it| it.0);
        self.check("type size", &fact.name, &fact.size64, size);
        // Where releases of the headers differ, the fact gives every definition.
        let definitions: Vec<_> = fact.definition.split(" / ").map(|it| self.c(it)).collect();
        let found = found.map(|it| definitions.contains(&Ok(it)));
        self.check("type definition", &fact.name, &true, found);
    }

    /// The type that C text of a fact stands for.
    pub fn c(&self, text: &str) -> Result<Shape, String> {
        parse_c(text, |name| self.bindings.named(name))
    }

    fn guid(&mut self, fact: &Guid) {
        let found = values::guid(&fact.name).ok_or("no such identifier".into());
        self.check("GUID", &fact.name, &fact.value, found);
    }

    fn control_operation(&mut self, fact: &ControlOperation) {
        let found = self.number(&fact.code);
        self.check("control code", &fact.code, &modulo(fact.value), found);
        self.argument(&fact.code, fact.input.as_deref(), &fact.input_size64);
        self.argument(&fact.code, fact.output.as_deref(), &fact.output_size64);
    }

    /// The type of an argument, where the fact gives a type and one size: others vary with the
    /// call.
    fn argument(&mut self, code: &str, ty: Option<&str>, size: &serde_json::Value) {
        if let (Some(ty), Some(size)) = (ty, size.as_u64()) {
            let name = ty.split(' ').next().unwrap_or(ty);
            let found = self
                .bindings
                .named(name)
                .and_then(|it| self.bindings.layout(&it));
            self.check("control argument size", code, &size, found.map(|it| it.0));
        }
    }
}
