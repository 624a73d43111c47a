//! Import libraries for a machine without a WDK, made from the export names that mingw-w64 knows.
//!
//! mingw's import libraries name the right functions but the wrong modules and are in GNU's form.
//! From their symbol tables come module definition files with the names that Windows gives its
//! modules, and from those the linker's librarian makes libraries in Microsoft's form.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::read::archive::ArchiveFile;

use super::stamp;
use crate::process::Step;

/// Where Debian's mingw-w64-x86-64-dev puts the import libraries.
const MINGW: &str = "/usr/x86_64-w64-mingw32/lib";

/// Archives that a driver build names but a Rust driver takes nothing from: the stack cookie
/// support of Microsoft's compiler, and its run-time routines for arm64.
const EMPTY: [&str; 2] = ["BufferOverflowFastFailK", "arm64rt"];

/// One library: its name for the linker, the module's name in Windows, and exports that mingw-w64
/// 10 does not name: those that are newer (all documented by Microsoft as exports of that module),
/// and the stack probe of Microsoft's compilers, which frames of more than a page call.
struct Library {
    name: &'static str,
    module: &'static str,
    further: &'static [&'static str],
}

const LIBRARIES: [Library; 6] = [
    Library {
        name: "ntoskrnl",
        module: "ntoskrnl.exe",
        further: &[
            "ExAllocatePool2",
            "ExAllocatePool3",
            "ExAllocateTimer",
            "ExCancelTimer",
            "ExDeleteTimer",
            "ExFreePool2",
            "ExSetTimer",
            "KeQueryInterruptTimePrecise",
            "KeQuerySystemTimePrecise",
            "__chkstk",
        ],
    },
    Library {
        name: "hal",
        module: "HAL.dll",
        further: &[],
    },
    Library {
        name: "wmilib",
        module: "WMILIB.SYS",
        further: &[],
    },
    Library {
        name: "netio",
        module: "NETIO.SYS",
        further: &[],
    },
    Library {
        name: "ksecdd",
        module: "ksecdd.sys",
        further: &[],
    },
    Library {
        name: "ndis",
        module: "NDIS.SYS",
        further: &[],
    },
];

/// Makes `root/x64` and `root/arm64`, the `Lib/VERSION/km` of the kit.
pub fn ensure(root: &Path) -> Result<()> {
    let mut definitions = Vec::new();
    for library in &LIBRARIES {
        let path = Path::new(MINGW).join(format!("lib{}.a", library.name));
        definitions.push((library.name, definition(library, &symbols(&path)?)));
    }
    let inputs = format!("{EMPTY:?}\n{definitions:#?}");
    stamp::up_to_date(root, &inputs, || {
        stamp::remove(root)?;
        // wdk-build looks for "x64" and "ARM64", as the WDK spells them with Windows' tolerance.
        for (architecture, machine) in [("x64", "x64"), ("ARM64", "arm64")] {
            let directory = root.join(architecture);
            for (name, definition) in &definitions {
                make(&directory, name, definition, machine)?;
            }
            for name in EMPTY {
                stamp::write(&directory.join(format!("{name}.lib")), "!<arch>\n")?;
            }
        }
        Ok(())
    })
}

/// The names that an import library, ours or Microsoft's, provides.
pub fn exports(library: &Path) -> Result<BTreeSet<String>> {
    let symbols = symbols(library)?;
    Ok(symbols
        .iter()
        .filter_map(|name| name.strip_prefix("__imp_"))
        .map(str::to_owned)
        .collect())
}

/// The symbol table of an archive.
fn symbols(archive: &Path) -> Result<BTreeSet<String>> {
    let read = || -> Result<_> {
        let data = fs::read(archive)?;
        let archive = ArchiveFile::parse(&*data)?;
        let symbols = archive.symbols()?.context("it has no symbol table")?;
        let mut names = BTreeSet::new();
        for symbol in symbols {
            names.insert(String::from_utf8_lossy(symbol?.name()).into_owned());
        }
        Ok(names)
    };
    read().with_context(|| format!("cannot read the import library {}", archive.display()))
}

/// The module definition file. What has an address slot (`__imp_NAME`) is exported; what has no
/// entry point (`NAME`) besides is data.
fn definition(library: &Library, symbols: &BTreeSet<String>) -> String {
    let mut text = format!("LIBRARY {}\nEXPORTS\n", library.module);
    for name in symbols
        .iter()
        .filter_map(|name| name.strip_prefix("__imp_"))
    {
        let kind = if symbols.contains(name) { "" } else { " DATA" };
        writeln!(text, "  {name}{kind}").expect("writing to a String cannot fail");
    }
    for name in library
        .further
        .iter()
        .filter(|name| !symbols.contains(&format!("__imp_{name}")))
    {
        writeln!(text, "  {name}").expect("writing to a String cannot fail");
    }
    text
}

fn make(directory: &Path, name: &str, definition: &str, machine: &str) -> Result<()> {
    let (source, library) = (
        directory.join(format!("{name}.def")),
        directory.join(format!("{name}.lib")),
    );
    stamp::write(&source, definition)?;
    Step::new(format!("import library {name} {machine}"), "lld-link-19")
        .arg("/lib")
        .arg(format!("/def:{}", source.display()))
        .arg(format!("/machine:{machine}"))
        .arg(format!("/out:{}", library.display()))
        .silent()
        .run()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::{Library, definition};

    const LIBRARY: Library = Library {
        name: "m",
        module: "M.SYS",
        further: &["Known", "New"],
    };

    fn of(symbols: &[&str]) -> String {
        definition(
            &LIBRARY,
            &symbols.iter().map(|&name| name.to_owned()).collect(),
        )
    }

    #[test]
    fn definition_entry_point_and_slot_gives_function() {
        assert!(of(&["__imp_Known", "Known"]).contains("\n  Known\n"));
    }

    #[test]
    fn definition_slot_alone_gives_data() {
        assert!(of(&["__imp_Data"]).contains("\n  Data DATA\n"));
    }

    #[test]
    fn definition_without_slot_gives_no_export() {
        assert!(!of(&["_head_libm_a"]).contains("_head"));
    }

    #[test]
    fn definition_further_export_appears_once() {
        let text = of(&["__imp_Known", "Known"]);
        assert_eq!(text.matches("Known").count(), 1);
        assert!(text.starts_with("LIBRARY M.SYS\nEXPORTS\n"));
        assert!(text.contains("\n  New\n"));
    }
}
