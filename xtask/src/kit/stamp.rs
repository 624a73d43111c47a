//! Remembers what a part of the kit was made of, so that it is made again only after a change.
//!
//! The record lies beside the part and is written last: an interrupted run leaves none.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Runs `make` unless `part` was made from the same `inputs` before. `inputs` is any text that
/// differs when the part has to differ.
pub fn up_to_date(part: &Path, inputs: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let record = record(part);
    if part.exists() && fs::read_to_string(&record).is_ok_and(|old| old == inputs) {
        return Ok(());
    }
    remove(&record)?;
    make()?;
    write(&record, inputs)
}

/// A short text that differs when the contents do, for names that Cargo has to see change.
pub fn fingerprint(contents: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Removes a file or directory, if there is one.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

/// Writes a file, with its directory.
pub fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    create_parent(path)?;
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

/// Creates the directory in which `path` is to be made.
pub fn create_parent(path: &Path) -> Result<()> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

fn record(part: &Path) -> PathBuf {
    part.with_added_extension("made-of")
}
