//! `cargo xtask check-image FILE`: is this file what Windows accepts as a kernel driver, and does
//! it ask of Windows only what is there?
//!
//! Each property is one line of a table; all are checked, whatever fails. The file is only read,
//! by the `object` crate where that has a parser. Must not know how the image was built.

mod signature;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::LittleEndian as LE;
use object::pe::{self, ImageSectionHeader};
use object::read::pe::{Import, PeFile64};

use crate::kit::{self, Kit};

/// The modules that a driver of this repository may import from, as Windows spells them.
const MODULES: [(&str, &str); 3] = [
    ("ntoskrnl.exe", "ntoskrnl.lib"),
    ("HAL.dll", "hal.lib"),
    ("NETIO.SYS", "netio.lib"),
];

/// Options of `cargo xtask check-image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image, for example `target/driver/x86_64-pc-windows-msvc/release/wsk_echo.sys`
    file: PathBuf,
}

/// `cargo xtask check-image`.
pub fn run(args: &Args) -> Result<()> {
    let file = &args.file;
    let image = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    check_file(&kit::ensure()?, file, &image)
}

/// Checks an image, prints the table, and fails if any property does not hold.
pub fn check_file(kit: &Kit, file: &Path, image: &[u8]) -> Result<()> {
    let machine = PeFile64::parse(image).with_context(|| not_an_image(file))?;
    let architecture = architecture(&machine).with_context(|| not_an_image(file))?;
    let checks = check(image, &known_exports(&kit.libraries(architecture))?)
        .with_context(|| not_an_image(file))?;
    println!("{} ({} bytes)", file.display(), image.len());
    for check in &checks {
        let (mark, text) = match &check.outcome {
            Ok(text) => ("ok  ", text),
            Err(text) => ("FAIL", text),
        };
        println!("  {mark} {:<18} {text}", check.property);
    }
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.outcome.is_err())
        .collect();
    if !failed.is_empty() {
        let names: Vec<_> = failed.iter().map(|check| check.property).collect();
        bail!(
            "{} is not an image to ship: {}",
            file.display(),
            names.join(", ")
        );
    }
    Ok(())
}

fn not_an_image(file: &Path) -> String {
    format!("{} is not a 64-bit Windows image", file.display())
}

/// What each module exports, by the module's name.
pub type Exports = BTreeMap<&'static str, BTreeSet<String>>;

/// One property and what was found.
#[derive(Debug)]
pub struct Check {
    /// Its name in the table.
    pub property: &'static str,
    /// What was found; an error when it must not be so.
    pub outcome: Outcome,
}

type Outcome = Result<String, String>;

/// Reads the exports of the modules from the import libraries in `directory`.
fn known_exports(directory: &Path) -> Result<Exports> {
    MODULES
        .iter()
        .map(|&(module, library)| Ok((module, kit::exports(&directory.join(library))?)))
        .collect()
}

/// The name of the WDK's directory for the image's architecture.
fn architecture(image: &PeFile64<'_>) -> Result<&'static str> {
    match image.nt_headers().file_header.machine.get(LE) {
        pe::IMAGE_FILE_MACHINE_AMD64 => Ok("x64"),
        pe::IMAGE_FILE_MACHINE_ARM64 => Ok("ARM64"),
        other => bail!("machine {other:#06x} is neither x64 nor arm64"),
    }
}

/// Checks every property. Fails only for what has no image structure to look at.
pub fn check(image: &[u8], exports: &Exports) -> Result<Vec<Check>> {
    let file = PeFile64::parse(image)?;
    let sections: Vec<_> = file.section_table().iter().collect();
    let imports = imports(&file);
    let characteristics = file
        .nt_headers()
        .optional_header
        .dll_characteristics
        .get(LE);
    let flag = |mask: u16, name: &str| {
        if characteristics & mask == mask {
            Ok(name.to_owned())
        } else {
            Err(format!("no {name}"))
        }
    };
    let checks = [
        (
            "machine",
            architecture(&file)
                .map(str::to_owned)
                .map_err(|error| error.to_string()),
        ),
        ("subsystem", subsystem(&file)),
        ("modules", modules(&imports)),
        ("imports", names(&imports, exports)),
        ("relocations", relocations(&file)),
        (
            "dynamic base",
            flag(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
        ),
        (
            "no execute",
            flag(pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
        ),
        (
            "integrity",
            flag(
                pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY,
                "FORCE_INTEGRITY",
            ),
        ),
        ("sections", writable_and_executable(&sections)),
        ("entry point", entry_point(&file, &sections)),
        ("checksum", checksum_matches(&file, image)),
        ("signature", signature::check(&file, image)),
    ];
    Ok(checks
        .into_iter()
        .map(|(property, outcome)| Check { property, outcome })
        .collect())
}

fn subsystem(file: &PeFile64<'_>) -> Outcome {
    match file.nt_headers().optional_header.subsystem.get(LE) {
        pe::IMAGE_SUBSYSTEM_NATIVE => Ok("native".to_owned()),
        other => Err(format!(
            "{other}, not native ({})",
            pe::IMAGE_SUBSYSTEM_NATIVE
        )),
    }
}

/// The imported names by module; an import by number appears as `#NUMBER`.
type Imports = Result<BTreeMap<String, Vec<String>>, String>;

fn imports(file: &PeFile64<'_>) -> Imports {
    let read = || -> object::Result<_> {
        let mut modules = BTreeMap::new();
        let Some(table) = file.import_table()? else {
            return Ok(modules);
        };
        let mut descriptors = table.descriptors()?;
        while let Some(descriptor) = descriptors.next()? {
            let module = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?);
            let names: &mut Vec<_> = modules.entry(module.into_owned()).or_default();
            let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
            while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>()? {
                names.push(match table.import::<pe::ImageNtHeaders64>(thunk)? {
                    Import::Ordinal(number) => format!("#{number}"),
                    Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                });
            }
        }
        Ok(modules)
    };
    read().map_err(|error| format!("the import table cannot be read: {error}"))
}

fn modules(imports: &Imports) -> Outcome {
    let found: Vec<_> = imports.as_ref()?.keys().map(String::as_str).collect();
    let allowed = |name: &&str| MODULES.iter().any(|(module, _)| module == name);
    let others: Vec<_> = found
        .iter()
        .copied()
        .filter(|name| !allowed(name))
        .collect();
    if others.is_empty() {
        return Ok(found.join(", "));
    }
    let allowed: Vec<_> = MODULES.iter().map(|(module, _)| *module).collect();
    Err(format!(
        "{}: not one of {}",
        others.join(", "),
        allowed.join(", ")
    ))
}

/// Names of modules that may not be imported from are another check's business.
fn names(imports: &Imports, exports: &Exports) -> Outcome {
    let mut unknown = Vec::new();
    let mut count = 0;
    for (module, names) in imports.as_ref()? {
        let Some(known) = exports.get(module.as_str()) else {
            continue;
        };
        count += names.len();
        let absent = names.iter().filter(|&name| !known.contains(name));
        unknown.extend(absent.map(|name| format!("{module}!{name}")));
    }
    if unknown.is_empty() {
        Ok(format!("{count} names, all exported by Windows"))
    } else {
        Err(format!("Windows does not export {}", unknown.join(", ")))
    }
}

fn relocations(file: &PeFile64<'_>) -> Outcome {
    if file.nt_headers().file_header.characteristics.get(LE) & pe::IMAGE_FILE_RELOCS_STRIPPED != 0 {
        return Err("stripped".to_owned());
    }
    let blocks = file
        .data_directories()
        .relocation_blocks(file.data(), &file.section_table())
        .map_err(|error| format!("the table cannot be read: {error}"))?
        .ok_or("there is no table")?;
    let mut count = 0;
    for block in blocks {
        count += block
            .map_err(|error| format!("the table cannot be read: {error}"))?
            .count();
    }
    if count == 0 {
        Err("the table is empty".to_owned())
    } else {
        Ok(count.to_string())
    }
}

fn writable_and_executable(sections: &[&ImageSectionHeader]) -> Outcome {
    let both = pe::IMAGE_SCN_MEM_WRITE | pe::IMAGE_SCN_MEM_EXECUTE;
    let name =
        |section: &&ImageSectionHeader| String::from_utf8_lossy(section.raw_name()).into_owned();
    let bad = |section: &&&ImageSectionHeader| section.characteristics.get(LE) & both == both;
    let names: Vec<_> = sections.iter().filter(bad).map(name).collect();
    if names.is_empty() {
        let all: Vec<_> = sections.iter().map(name).collect();
        Ok(format!(
            "none is writable and executable: {}",
            all.join(" ")
        ))
    } else {
        Err(format!("writable and executable: {}", names.join(" ")))
    }
}

fn entry_point(file: &PeFile64<'_>, sections: &[&ImageSectionHeader]) -> Outcome {
    let address = file
        .nt_headers()
        .optional_header
        .address_of_entry_point
        .get(LE);
    let holds = |section: &&&ImageSectionHeader| {
        let start = section.virtual_address.get(LE);
        let code = section.characteristics.get(LE) & pe::IMAGE_SCN_MEM_EXECUTE != 0;
        code && address >= start && address - start < section.virtual_size.get(LE)
    };
    match sections.iter().find(holds) {
        Some(section) => Ok(format!(
            "{address:#x} in {}",
            String::from_utf8_lossy(section.raw_name())
        )),
        None => Err(format!("{address:#x} is in no executable section")),
    }
}

fn checksum_matches(file: &PeFile64<'_>, image: &[u8]) -> Outcome {
    let stored = file.nt_headers().optional_header.check_sum.get(LE);
    let computed = checksum(image, checksum_offset(file));
    if stored == computed {
        Ok(format!("{stored:#010x}"))
    } else {
        Err(format!(
            "{stored:#010x} is stored, {computed:#010x} is right"
        ))
    }
}

/// Where the checksum is stored in the file.
fn checksum_offset(file: &PeFile64<'_>) -> usize {
    const SIGNATURE_AND_FILE_HEADER: usize = 4 + 20;
    const IN_OPTIONAL_HEADER: usize = 64;
    let headers = usize::try_from(file.dos_header().nt_headers_offset()).unwrap_or(usize::MAX);
    headers.saturating_add(SIGNATURE_AND_FILE_HEADER + IN_OPTIONAL_HEADER)
}

/// The checksum of an image: its 16-bit words added with end-around carry, the stored checksum
/// taken as zero, plus the length of the file.
fn checksum(image: &[u8], stored_at: usize) -> u32 {
    let mut sum = 0_u32;
    for (index, pair) in image.chunks(2).enumerate() {
        if (stored_at..stored_at + 4).contains(&(index * 2)) {
            continue;
        }
        let word = u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let length = u32::try_from(image.len()).unwrap_or(u32::MAX);
    sum.wrapping_add(length)
}
