//! What must not compile: each file of `compile_fail/` is one misuse, for one reason.
//!
//! The misuse itself is under `#[cfg(misuse)]`, and the head says which error it gives:
//! `//! error: E0382`, or the message of an error without a number. A file is compiled twice:
//! without the misuse it compiles, so nothing else is wrong with it; with the misuse, that error
//! and no other comes. Nothing else of the compiler's text is looked at, so that it may change.
//!
//! docs/SOUNDNESS.md says which lesson each file belongs to.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How a file says what comes; there may be several such lines.
const EXPECTED: &str = "//! error: ";

#[test]
fn misuse_is_refused_for_its_own_reason() {
    let compiler = Compiler::find();
    let mut files: Vec<_> =
        entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail"))
            .filter(|path| path.extension().is_some_and(|end| end == "rs"))
            .collect();
    files.sort();
    assert!(!files.is_empty(), "no file says what must not compile");
    let wrong: Vec<_> = files
        .iter()
        .filter_map(|file| compiler.judge(file).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How these files are compiled: as Cargo has compiled this one.
struct Compiler {
    rustc: OsString,
    wsk: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Compiler {
    fn find() -> Self {
        let this = env::current_exe().expect("a test knows its own file");
        let own = this.parent().expect("it is in a directory").to_path_buf();
        Self {
            rustc: env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()),
            wsk: library(&own),
            libraries: [host_libraries(&own), Some(own)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    fn judge(&self, file: &Path) -> Result<(), String> {
        let text = fs::read_to_string(file).expect("readable");
        let expected: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix(EXPECTED))
            .collect();
        let complain = |what: &str| Err(format!("{}: {what}", file.display()));
        if expected.is_empty() || !text.contains("#[cfg(misuse)]") {
            return complain("says no error, or has no misuse");
        }
        let (compiled, messages) = self.compile(file, &[]);
        if !compiled {
            return complain(&format!("does not compile without its misuse:\n{messages}"));
        }
        let (compiled, messages) = self.compile(file, &["--cfg", "misuse"]);
        if compiled {
            return complain("its misuse compiles");
        }
        let found: BTreeSet<_> = messages.lines().filter_map(error).collect();
        if found != expected {
            return complain(&format!("expected {expected:?}:\n{messages}"));
        }
        Ok(())
    }

    fn compile(&self, file: &Path, arguments: &[&str]) -> (bool, String) {
        let mut wsk = OsString::from("wsk=");
        wsk.push(&self.wsk);
        let output = Command::new(&self.rustc)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
            ])
            .args([
                "--error-format",
                "short",
                "--check-cfg",
                "cfg(misuse)",
                "-Awarnings",
            ])
            .args(["--out-dir", env!("CARGO_TARGET_TMPDIR")])
            .arg("--extern")
            .arg(wsk)
            .args(
                self.libraries
                    .iter()
                    .flat_map(|path| ["-L".as_ref(), path.as_os_str()]),
            )
            .args(arguments)
            .arg(file)
            .output()
            .expect("the compiler that compiled this test can be started");
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), messages)
    }
}

/// The library as it was built last: Cargo has made sure just before this test that it is that of
/// these sources. Builds with other flags leave theirs beside it.
fn library(directory: &Path) -> PathBuf {
    let is_library = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        name.starts_with("libwsk-") && path.extension().is_some_and(|end| end == "rlib")
    };
    let built = |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified());
    entries(directory)
        .filter(is_library)
        .max_by_key(|path| built(path).expect("a file has a time"))
        .expect("Cargo builds the library before its tests")
}

/// Where the procedural macros are, which run on the host: `target/debug/deps`, if this test is in
/// `target/x86_64-unknown-linux-gnu/debug/deps`.
fn host_libraries(own: &Path) -> Option<PathBuf> {
    let profile = own.parent()?;
    let target = profile.parent()?.parent()?;
    Some(target.join(profile.file_name()?).join("deps")).filter(|path| path.is_dir())
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    entries.map(|entry| entry.expect("readable").path())
}

/// The number of an error, or the first part of its message if it has none: `a.rs:3:9:
/// error[E0382]: use of moved value`.
fn error(line: &str) -> Option<&str> {
    let (_, error) = line.split_once(": error")?;
    match error.strip_prefix('[') {
        Some(number) => Some(number.split_once(']')?.0),
        None => error.strip_prefix(": ")?.split(": ").next(),
    }
}
