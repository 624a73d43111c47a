//! The JSON file that a command writes its result to.
//!
//! Used by [`echo`](crate::echo) and [`gate`](crate::gate). Created before the run, so that a wrong
//! path does not cost its result.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// A file that is there from the beginning and gets its content at the end.
pub struct JsonFile<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> JsonFile<'a> {
    /// Creates it, empty.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &'a Path) -> anyhow::Result<Self> {
        let created = File::create(path);
        let file = created.with_context(|| {
            format!(
                "could not create {}: does its folder exist, may you write there?",
                path.display()
            )
        })?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
        })
    }

    /// Writes `report` into it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(mut self, report: &impl Serialize) -> anyhow::Result<()> {
        let written = serde_json::to_writer_pretty(&mut self.file, report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(self.file))
            .and_then(|()| self.file.flush());
        written
            .with_context(|| format!("could not write {}: is the disk full?", self.path.display()))
    }
}
