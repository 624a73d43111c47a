//! What the driver of a test has reached: which functions of WSK and NMR it has called, with which
//! numbers of options and control operations, and which of its own functions were called.
//!
//! For whoever wants to know what tests exercise: with `WSK_SIM_REACHED=DIRECTORY`, each test
//! writes its own file there, one name a line. Knows nothing of what a name means.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "WSK_SIM_REACHED";

thread_local! {
    /// Of the test whose simulations run on this thread.
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

/// What one test has reached, as far as it was not written before.
struct Record {
    file: File,
    seen: BTreeSet<String>,
}

/// Has what is reached on this thread counted for the test with this name.
pub(crate) fn count_for(test: &str) {
    let Some(directory) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        return;
    };
    let record = Record::open(&directory, test);
    let record = record.unwrap_or_else(|error| {
        panic!(
            "cannot write to {}, which {VARIABLE} names: {error}",
            directory.display()
        )
    });
    RECORD.set(Some(record));
}

/// Notes that a function was called.
pub(crate) fn function(name: &str) {
    note(|| name.to_owned());
}

/// Notes a name that is worth making only if somebody wants to know.
pub(crate) fn note(name: impl FnOnce() -> String) {
    RECORD.with_borrow_mut(|record| {
        if let Some(record) = record {
            record.add(name());
        }
    });
}

impl Record {
    /// `DIRECTORY/PROGRAM--MODULE--TEST`: the same test may run again, and adds to its file.
    fn open(directory: &Path, test: &str) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let program = program.file_stem().unwrap_or_default().to_string_lossy();
        // Cargo adds a hash.
        let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
        let name = format!("{program}::{test}")
            .replace("::", "--")
            .replace('/', "--");
        fs::create_dir_all(directory)?;
        let path = directory.join(name);
        Ok(Self {
            file: File::options().create(true).append(true).open(path)?,
            seen: BTreeSet::new(),
        })
    }

    fn add(&mut self, name: String) {
        if self.seen.contains(&name) {
            return;
        }
        writeln!(self.file, "{name}").expect("the file was opened for writing");
        self.seen.insert(name);
    }
}
