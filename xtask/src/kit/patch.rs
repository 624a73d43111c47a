//! The changes that let `wdk-build` run on a host other than Windows, applied to the vendored copy.
//!
//! Each is an exact replacement of text that must occur once: a new release of `wdk-build` that
//! moved it stops the build with a message, it is never patched by guess. On a Windows target
//! nothing changes. For the native target the bindings get Windows' layouts: clang is told to
//! compile for Windows, and C's types are defined as Windows has them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::stamp;

/// Replaces `old` by `new` in `file` of the package.
#[derive(Debug, Hash)]
struct Edit {
    file: &'static str,
    old: &'static str,
    new: &'static str,
}

const EDITS: [Edit; 9] = [
    // The `windows` package exists for Windows alone.
    Edit {
        file: "Cargo.toml",
        old: "[dependencies.windows]",
        new: "[target.'cfg(windows)'.dependencies.windows]",
    },
    Edit {
        file: "src/utils.rs",
        old: "\nuse windows::{",
        new: "\n#[cfg(windows)]\nuse windows::{",
    },
    // The registry is searched for the kit there only.
    Edit {
        file: "src/utils.rs",
        old: "    // Roots@KitsRoot10 registry key\n    if let",
        new: "    #[cfg(windows)]\n    if let",
    },
    Edit {
        file: "src/utils.rs",
        old: "    // Kits\\Installed Roots@KitsRoot10 registry key\n    if let",
        new: "    #[cfg(windows)]\n    if let",
    },
    Edit {
        file: "src/utils.rs",
        old: "\nfn read_registry_key_string_value(",
        new: "\n#[cfg(windows)]\nfn read_registry_key_string_value(",
    },
    // The steps of cargo-make, and the two functions that only they call.
    Edit {
        file: "src/lib.rs",
        old: "\npub mod cargo_make;",
        new: "\n#[cfg(windows)]\npub mod cargo_make;",
    },
    Edit {
        file: "src/utils.rs",
        old: "    K: AsRef<OsStr>,\n    V: AsRef<OsStr>,\n{\n    compile_error!(",
        new: "    K: AsRef<OsStr>,\n    V: AsRef<OsStr>,\n{\n    unreachable!(",
    },
    Edit {
        file: "src/utils.rs",
        old: "pub fn remove_var<K>(_key: K)\nwhere\n    K: AsRef<OsStr>,\n{\n    compile_error!(",
        new: "pub fn remove_var<K>(_key: K)\nwhere\n    K: AsRef<OsStr>,\n{\n    unreachable!(",
    },
    // Windows' layouts on the native target.
    Edit {
        file: "src/bindgen.rs",
        old: "\n        Ok(builder)\n",
        new: NATIVE_LAYOUTS,
    },
];

const NATIVE_LAYOUTS: &str = r#"
        if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
            builder = builder
                .clang_arg("--target=x86_64-pc-windows-msvc")
                .ctypes_prefix("self::windows_c")
                .raw_line(
                    "/// C's types as they are on Windows.\n\
                     pub mod windows_c {\n\
                         pub use ::core::ffi::c_void;\n\
                         pub type c_char = i8;\n\
                         pub type c_schar = i8;\n\
                         pub type c_uchar = u8;\n\
                         pub type c_short = i16;\n\
                         pub type c_ushort = u16;\n\
                         pub type c_int = i32;\n\
                         pub type c_uint = u32;\n\
                         pub type c_long = i32;\n\
                         pub type c_ulong = u32;\n\
                         pub type c_longlong = i64;\n\
                         pub type c_ulonglong = u64;\n\
                         pub type c_float = f32;\n\
                         pub type c_double = f64;\n\
                     }",
                );
        }

        Ok(builder)
"#;

/// A short text that differs whenever the edits do.
pub fn fingerprint() -> String {
    stamp::fingerprint(&EDITS)
}

/// Patches the copy of `wdk-build` in `package`.
pub fn apply(package: &Path) -> Result<()> {
    for edit in &EDITS {
        let path = package.join(edit.file);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .replace("\r\n", "\n");
        let text = replace_once(&text, edit.old, edit.new).with_context(|| {
            format!(
                "cannot patch {}\n  what to do: this release of wdk-build differs from the one \
                 that xtask/src/kit/patch.rs was written for; compare and adapt it",
                path.display()
            )
        })?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn replace_once(text: &str, old: &str, new: &str) -> Result<String> {
    match text.matches(old).count() {
        1 => Ok(text.replacen(old, new, 1)),
        count => bail!("the text to replace occurs {count} times, not once: {old:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::replace_once;

    #[test]
    fn replace_once_unique_text_is_replaced() {
        assert_eq!(
            replace_once("a b c", "b", "x").ok().as_deref(),
            Some("a x c")
        );
    }

    #[test]
    fn replace_once_absent_text_is_refused() {
        assert!(replace_once("a b c", "d", "x").is_err());
    }

    #[test]
    fn replace_once_repeated_text_is_refused() {
        assert!(replace_once("a b b", "b", "x").is_err());
    }
}
