//! Comparing structures: size, alignment, members, and the names of the type.

use crate::{
    bindings::Member,
    compare::Comparison,
    data::{Field, Struct},
    shape::{Base, Shape},
};

impl Comparison<'_> {
    pub fn structure(&mut self, fact: &Struct) {
        let name = &fact.name;
        let owner = match self.bindings.named(name) {
            Ok(Shape {
                base: Base::Named(owner),
                ..
            }) => owner,
            Ok(other) => {
                return self.check("structure", name, &true, Err(format!("it is {other:?}")));
            }
            Err(reason) => return self.check("structure", name, &true, Err(reason)),
        };
        let shape = Shape::of(Base::Named(owner.clone()));
        let layout = self.bindings.layout(&shape);
        self.check(
            "structure size",
            name,
            &fact.size64,
            layout.clone().map(|it| it.0),
        );
        self.check(
            "structure alignment",
            name,
            &fact.align64,
            layout.map(|it| it.1),
        );
        if let Some(tag) = &fact.tag {
            self.check("structure tag", name, tag, Ok(owner.clone()));
        }
        if let Some(composite) = self.bindings.composites.get(&owner) {
            self.check(
                "structure kind",
                name,
                &(fact.kind == "union"),
                Ok(composite.is_union),
            );
        }
        for typedef in &fact.typedefs {
            self.check("typedef", typedef, &shape, self.bindings.named(typedef));
        }
        for typedef in &fact.pointer_typedefs {
            match self.c(&typedef.to) {
                Ok(to) => self.check(
                    "pointer typedef",
                    &typedef.name,
                    &to,
                    self.bindings.named(&typedef.name),
                ),
                Err(reason) => self.check("pointer typedef", &typedef.name, &shape, Err(reason)),
            }
        }
        self.fields(&owner, 0, &fact.fields);
    }

    /// The members of `owner`, which starts at `base` in the outermost structure.
    fn fields(&mut self, owner: &str, base: u64, fields: &[Field]) {
        for field in fields {
            match &field.name {
                // bindgen sees the members of an embedded structure without a name in its owner.
                None => self.fields(owner, base, &field.members),
                Some(name) if name == "Basic" => {
                    let found = self
                        .bindings
                        .leading_padding(owner)
                        .ok_or("no padding".into());
                    self.check("unnamed table", owner, &field.size64, found);
                }
                Some(name) if self.bindings.composites.contains_key(owner) => {
                    self.field(owner, base, name, field);
                }
                Some(name) => self.outside_field(owner, name, field),
            }
        }
    }

    fn field(&mut self, owner: &str, base: u64, name: &str, field: &Field) {
        let subject = format!("{owner}.{name}");
        let member = self.bindings.member(owner, rust_name(name));
        match member.and_then(|it| it.ok_or("no such member".into())) {
            Ok(Member::Bits {
                offset,
                first,
                count,
            }) => {
                let expected = (field.offset64, field.bit_offset, field.bit_width);
                let found = (base + offset, Some(first), Some(count));
                self.check("bit field", &subject, &expected, Ok(found));
            }
            Ok(Member::Whole { offset, shape }) => {
                self.check(
                    "member offset",
                    &subject,
                    &field.offset64,
                    Ok(base + offset),
                );
                let size = self.bindings.layout(&shape).map(|it| it.0);
                self.check("member size", &subject, &field.size64, size);
                if field.members.is_empty() {
                    match self.c(&field.ty) {
                        Ok(expected) => self.check("member type", &subject, &expected, Ok(shape)),
                        Err(reason) => self.check("member type", &subject, &shape, Err(reason)),
                    }
                } else if let Base::Named(inner) = shape.base {
                    self.fields(&inner, base + offset, &field.members);
                }
            }
            Err(reason) => self.check("member offset", &subject, &field.offset64, Err(reason)),
        }
    }

    /// A member of a structure of wdk-sys.
    fn outside_field(&mut self, owner: &str, name: &str, field: &Field) {
        let alias = owner.trim_start_matches('_');
        let outside = self.bindings.outside.get(alias);
        let member = outside.and_then(|it| it.members.get(name)).copied();
        let member = member.ok_or_else(|| "no such member".to_owned());
        let subject = format!("{owner}.{name}");
        self.check(
            "member offset",
            &subject,
            &field.offset64,
            member.clone().map(|it| it.0),
        );
        self.check(
            "member size",
            &subject,
            &field.size64,
            member.map(|it| it.1),
        );
    }
}

/// bindgen appends an underscore to a name that is a keyword of Rust.
fn rust_name(name: &str) -> &str {
    match name {
        "type" => "type_",
        name => name,
    }
}
