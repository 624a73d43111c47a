//! Comparing functions and callbacks: parameters, what they return, and where tables have them.

use crate::{
    bindings::Member,
    compare::Comparison,
    data::Function,
    shape::{Base, Shape},
    syntax::Signature,
};

impl Comparison<'_> {
    pub fn function(&mut self, fact: &Function) {
        match self.bindings.functions.get(&fact.name) {
            None => self.check(
                "function",
                &fact.name,
                &true,
                Err("no such function".into()),
            ),
            Some(found) => {
                let abi = if fact.inline { "Rust" } else { "C" };
                self.check(
                    "calling convention",
                    &fact.name,
                    &abi.to_owned(),
                    Ok(found.abi.clone()),
                );
                self.signature(fact, found);
            }
        }
    }

    pub fn callback(&mut self, fact: &Function) {
        let name = &fact.name;
        match self.bindings.callbacks.get(name) {
            None => self.check("callback", name, &true, Err("no such callback".into())),
            Some(found) => self.signature(fact, found),
        }
        let expected = Shape::of(Base::Function(name.clone()));
        if name.ends_with("_FN") {
            // A function type has a second name, for the pointer; in Rust both are the pointer.
            self.check(
                "pointer typedef",
                name,
                &expected,
                self.bindings.named(&format!("P{name}")),
            );
        }
        for slot in &fact.members {
            let subject = format!("{}.{}", slot.table, slot.member);
            let found = match self.bindings.named(&slot.table).map(|it| it.base) {
                Ok(Base::Named(owner)) => self.bindings.member(&owner, &slot.member),
                other => Err(format!("{other:?} is no table")),
            };
            let found = found.and_then(|it| match it {
                Some(Member::Whole { offset, shape }) => Ok((offset, self.only_function(shape))),
                _ => Err("no such slot".into()),
            });
            self.check(
                "table slot",
                &subject,
                &(slot.offset64, expected.clone()),
                found,
            );
        }
    }

    /// A slot whose type is the pointer name of a function type.
    fn only_function(&self, shape: Shape) -> Shape {
        match &shape.base {
            Base::Function(name) => self.bindings.named(name).unwrap_or(shape),
            _ => shape,
        }
    }

    fn signature(&mut self, fact: &Function, found: &Signature) {
        let name = &fact.name;
        self.check(
            "parameter count",
            name,
            &fact.params.len(),
            Ok(found.params.len()),
        );
        for (expected, (found_name, ty)) in fact.params.iter().zip(&found.params) {
            let subject = format!("{name}({})", expected.name);
            self.check(
                "parameter name",
                &subject,
                &expected.name,
                Ok(found_name.clone()),
            );
            let shape = self.bindings.shape(ty);
            if let Some(size) = expected.size64 {
                let found = shape.clone().and_then(|it| self.bindings.layout(&it));
                self.check("parameter size", &subject, &size, found.map(|it| it.0));
            }
            match self.c(&expected.ty) {
                // The constness of what pointers point to is part of the shape.
                Ok(expected) => self.check("parameter type", &subject, &expected, shape),
                Err(reason) => self.check("parameter type", &subject, &true, Err(reason)),
            }
        }
        let found = found
            .ret
            .as_ref()
            .map_or(Ok(Shape::of(Base::Void)), |it| self.bindings.shape(it));
        match self.c(&fact.ret) {
            Ok(expected) => self.check("return type", name, &expected, found),
            Err(reason) => self.check("return type", name, &true, Err(reason)),
        }
    }
}
