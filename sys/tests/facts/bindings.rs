//! A model of the bindings, read from their source: constants, types with their layout, functions.
//!
//! bindgen's own assertions of size, alignment and offset are part of that source. The compiler has
//! checked them, so their numbers are those of the real types; the layout computed here is checked
//! against them.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::{Fields, ForeignItem, ImplItem, Item, ItemImpl, ItemMod, Type, UseTree};

use crate::{
    shape::{Base, Shape},
    syntax::{Signature, argument, asked_alignment, number, pointed_function},
};

/// A structure or union.
#[derive(Default)]
pub struct Composite {
    pub is_union: bool,
    /// Alignment asked for by an attribute.
    align: u64,
    fields: Vec<(String, Type)>,
    /// Name, first bit, number of bits.
    bits: Vec<(String, u64, u64)>,
}

/// A type that the bindings take from wdk-sys, as the compiler sees it.
pub struct Outside {
    pub size: u64,
    pub align: u64,
    pub definition: Type,
    /// Offset and size by name, where facts ask for them.
    pub members: BTreeMap<String, (u64, u64)>,
}

/// Where a member is, and what.
pub enum Member {
    Whole { offset: u64, shape: Shape },
    Bits { offset: u64, first: u64, count: u64 },
}

#[derive(Default)]
pub struct Bindings {
    pub numbers: BTreeMap<String, i64>,
    /// Enumerations: members by name.
    pub enums: BTreeMap<String, BTreeMap<String, i64>>,
    pub composites: BTreeMap<String, Composite>,
    pub functions: BTreeMap<String, Signature>,
    /// Types that are pointers to functions.
    pub callbacks: BTreeMap<String, Signature>,
    pub outside: BTreeMap<String, Outside>,
    aliases: BTreeMap<String, Type>,
    /// What the compiler has been made to check, by the text of the assertion.
    asserted: BTreeMap<String, u64>,
}

impl Bindings {
    /// Reads another source file.
    pub fn read(&mut self, source: &str) {
        let file = syn::parse_file(source).expect("bindings that compile are Rust");
        for item in file.items {
            self.read_item(item);
        }
    }

    fn read_item(&mut self, item: Item) {
        match item {
            Item::Const(item) if item.ident == "_" => self.read_assertions(&item.expr),
            Item::Const(item) => {
                if let Some(value) = number(&item.expr) {
                    self.numbers.insert(item.ident.to_string(), value);
                }
            }
            Item::Type(item) => self.read_alias(item.ident.to_string(), *item.ty),
            Item::Struct(item) => {
                self.read_composite(item.ident.to_string(), false, &item.attrs, &item.fields);
            }
            Item::Union(item) => {
                let fields = Fields::Named(item.fields);
                self.read_composite(item.ident.to_string(), true, &item.attrs, &fields);
            }
            Item::Mod(item) => self.read_enum(&item),
            Item::Use(item) => self.read_renaming(&item.tree),
            Item::Impl(item) => self.read_bits(&item),
            Item::Fn(item) => {
                self.functions
                    .insert(item.sig.ident.to_string(), Signature::of("Rust", &item.sig));
            }
            Item::ForeignMod(item) => {
                let abi = item.abi.name.map_or_else(String::new, |name| name.value());
                for item in item.items {
                    if let ForeignItem::Fn(item) = item {
                        let signature = Signature::of(&abi, &item.sig);
                        self.functions.insert(item.sig.ident.to_string(), signature);
                    }
                }
            }
            _ => {}
        }
    }

    fn read_alias(&mut self, name: String, ty: Type) {
        if let Some(function) = pointed_function(&ty) {
            self.callbacks.insert(name, Signature::of_pointer(function));
        } else {
            self.aliases.insert(name, ty);
        }
    }

    fn read_composite(
        &mut self,
        name: String,
        is_union: bool,
        attributes: &[syn::Attribute],
        fields: &Fields,
    ) {
        let composite = self.composites.entry(name).or_default();
        composite.is_union = is_union;
        composite.align = attributes.iter().find_map(asked_alignment).unwrap_or(1);
        composite.fields = fields
            .iter()
            .filter_map(|field| Some((field.ident.as_ref()?.to_string(), field.ty.clone())))
            .collect();
    }

    /// An enumeration is a module with a type and constants.
    fn read_enum(&mut self, module: &ItemMod) {
        let Some((_, items)) = &module.content else {
            return;
        };
        let members = items
            .iter()
            .filter_map(|item| match item {
                Item::Const(item) => Some((item.ident.to_string(), number(&item.expr)?)),
                _ => None,
            })
            .collect();
        self.enums.insert(module.ident.to_string(), members);
    }

    /// `pub use self::_TAG::Type as NAME;`
    fn read_renaming(&mut self, tree: &UseTree) {
        if let UseTree::Path(path) = tree {
            match &*path.tree {
                UseTree::Rename(rename) if rename.ident == "Type" => {
                    let tag = path.ident.to_string();
                    let members = self.enums.get(&tag).cloned().unwrap_or_default();
                    self.enums.insert(rename.rename.to_string(), members);
                }
                tree => self.read_renaming(tree),
            }
        }
    }

    /// Bit fields are pairs of methods which name the bits.
    fn read_bits(&mut self, item: &ItemImpl) {
        let owner = item.self_ty.to_token_stream().to_string();
        for item in &item.items {
            let ImplItem::Fn(method) = item else { continue };
            let body = method.block.to_token_stream().to_string();
            let Some((_, bits)) = body.split_once("_bitfield_1 . get_const :: <") else {
                continue;
            };
            let bits: Vec<u64> = bits
                .split(|c: char| !c.is_ascii_digit() && !c.is_ascii_alphabetic())
                .filter_map(|word| {
                    word.trim_end_matches("usize")
                        .trim_end_matches("u8")
                        .parse()
                        .ok()
                })
                .collect();
            let name = method.sig.ident.to_string();
            let composite = self.composites.entry(owner.clone()).or_default();
            composite.bits.push((name, bits[0], bits[1]));
        }
    }

    /// `["Size of X"][size_of::<X>() - 8usize];` and its like.
    fn read_assertions(&mut self, block: &syn::Expr) {
        let syn::Expr::Block(block) = block else {
            return;
        };
        for statement in &block.block.stmts {
            if let syn::Stmt::Expr(syn::Expr::Index(index), _) = statement
                && let syn::Expr::Array(text) = &*index.expr
                && let Some(syn::Expr::Lit(text)) = text.elems.first()
                && let syn::Lit::Str(text) = &text.lit
                && let syn::Expr::Binary(difference) = &*index.index
                && let Some(value) = number(&difference.right)
            {
                self.asserted.insert(text.value(), value.unsigned_abs());
            }
        }
    }

    /// The type behind a Rust type: aliases resolved.
    pub fn shape(&self, ty: &Type) -> Result<Shape, String> {
        match ty {
            Type::Ptr(pointer) => Ok(self
                .shape(&pointer.elem)?
                .behind(pointer.mutability.is_none())),
            Type::Array(array) => {
                let count = number(&array.len).ok_or("an array of unknown length")?;
                Ok(self.shape(&array.elem)?.times(count.unsigned_abs()))
            }
            Type::Path(path) => {
                let last = path.path.segments.last().ok_or("an empty path")?;
                let name = last.ident.to_string();
                match name.as_str() {
                    "__IncompleteArrayField" => Ok(self.shape(&argument(last)?)?.times(0)),
                    "__BindgenBitfieldUnit" => self.shape(&argument(last)?),
                    "Type" => Ok(Shape::of(Base::INT)),
                    _ => self.named(&name),
                }
            }
            Type::Tuple(unit) if unit.elems.is_empty() => Ok(Shape::of(Base::Void)),
            other => Err(format!("{} is no C type", other.to_token_stream())),
        }
    }

    /// The type behind a name, of C or of Rust.
    pub fn named(&self, name: &str) -> Result<Shape, String> {
        if self.composites.contains_key(name) {
            Ok(Shape::of(Base::Named(name.into())))
        } else if self.callbacks.contains_key(name) {
            Ok(Shape::of(Base::Function(name.into())))
        } else if self.enums.contains_key(name) {
            Ok(Shape::of(Base::INT))
        } else if let Some(ty) = self.aliases.get(name) {
            self.shape(ty)
        } else if let Some(base) = Base::primitive(name) {
            Ok(Shape::of(base))
        } else if let Some(outside) = self.outside.get(name) {
            self.shape(&outside.definition)
        } else if name.starts_with('_') {
            // The tag of a structure of wdk-sys, which only the name of a pointer or an alias has
            // led to.
            Ok(Shape::of(Base::Named(name.into())))
        } else {
            Err(format!("no type {name}"))
        }
    }

    /// Size and alignment.
    pub fn layout(&self, shape: &Shape) -> Result<(u64, u64), String> {
        let (size, align) = match &shape.base {
            _ if !shape.pointers.is_empty() => (8, 8),
            Base::Void => return Err("void has no size".into()),
            Base::Int { bytes, .. } => (*bytes, *bytes),
            Base::Function(_) => (8, 8),
            Base::Named(name) => self.named_layout(name)?,
        };
        Ok((size * shape.dimensions.iter().product::<u64>(), align))
    }

    fn named_layout(&self, name: &str) -> Result<(u64, u64), String> {
        let Some(composite) = self.composites.get(name) else {
            let outside = self.outside.values().find(|outside| {
                self.shape(&outside.definition)
                    .is_ok_and(|shape| shape == Shape::of(Base::Named(name.into())))
            });
            return outside
                .map(|it| (it.size, it.align))
                .ok_or(format!("no layout of {name}"));
        };
        let mut size = 0_u64;
        let mut align = composite.align;
        for (field, ty) in &composite.fields {
            let (field_size, field_align) = self.layout(&self.shape(ty)?)?;
            let offset = if composite.is_union {
                0
            } else {
                size.next_multiple_of(field_align)
            };
            self.confirm(&format!("Offset of field: {name}::{field}"), offset)?;
            align = align.max(field_align);
            size = size.max(offset + field_size);
        }
        let size = size.next_multiple_of(align);
        self.confirm(&format!("Size of {name}"), size)?;
        self.confirm(&format!("Alignment of {name}"), align)?;
        Ok((size, align))
    }

    /// A number computed here must be what the compiler has checked, if it has.
    fn confirm(&self, what: &str, value: u64) -> Result<(), String> {
        match self.asserted.get(what) {
            Some(&asserted) if asserted != value => Err(format!(
                "{what}: computed {value}, the compiler says {asserted}"
            )),
            _ => Ok(()),
        }
    }

    /// A member by name, also one of an embedded structure or union without a name.
    pub fn member(&self, owner: &str, name: &str) -> Result<Option<Member>, String> {
        let Some(composite) = self.composites.get(owner) else {
            return Err(format!("no structure {owner}"));
        };
        if let Some(&(_, first, count)) = composite.bits.iter().find(|bits| bits.0 == name) {
            return Ok(Some(Member::Bits {
                offset: 0,
                first,
                count,
            }));
        }
        let mut end = 0_u64;
        for (field, ty) in &composite.fields {
            let shape = self.shape(ty)?;
            let (size, align) = self.layout(&shape)?;
            let offset = if composite.is_union {
                0
            } else {
                end.next_multiple_of(align)
            };
            end = offset + size;
            if field == name {
                return Ok(Some(Member::Whole { offset, shape }));
            }
            if field.starts_with("__bindgen_anon_")
                && let Base::Named(inner) = &shape.base
                && let Some(member) = self.member(inner, name)?
            {
                return Ok(Some(member.moved(offset)));
            }
        }
        Ok(None)
    }

    /// The size of the padding with which a structure starts: what bindgen makes of a first member
    /// without a name.
    pub fn leading_padding(&self, owner: &str) -> Option<u64> {
        let (name, ty) = self.composites.get(owner)?.fields.first()?;
        let shape = self.shape(ty).ok()?;
        (name == "__bindgen_padding_0")
            .then(|| self.layout(&shape).ok())
            .flatten()
            .map(|it| it.0)
    }
}

impl Member {
    fn moved(self, by: u64) -> Self {
        match self {
            Self::Whole { offset, shape } => Self::Whole {
                offset: offset + by,
                shape,
            },
            Self::Bits {
                offset,
                first,
                count,
            } => Self::Bits {
                offset: offset + by,
                first,
                count,
            },
        }
    }
}
