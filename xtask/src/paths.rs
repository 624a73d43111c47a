//! Where things are: every path that xtask uses, below the root of the repository.
//!
//! Everything that xtask makes lies below `target/`. `wdk-build` finds the top manifest by walking
//! up from a build script's output to a `Cargo.lock`, so Cargo's target directories must be below
//! the root as well.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let start = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| env::current_dir().ok())
        .expect("the current directory exists");
    start
        .ancestors()
        .find(|directory| directory.join("Cargo.lock").is_file())
        .expect("xtask runs in the repository: start it as `cargo xtask`")
        .to_path_buf()
});

/// The root of the repository.
pub fn root() -> &'static Path {
    &ROOT
}

/// `target/NAME`: a directory for one purpose.
pub fn target(name: &str) -> PathBuf {
    root().join("target").join(name)
}

/// `target/kit`: headers, import libraries, patched dependencies, signing key.
pub fn kit() -> PathBuf {
    target("kit")
}

/// `target/report`: results that a person or another program reads.
pub fn report() -> PathBuf {
    target("report")
}

/// `target/log`: one file for each step that ran a program.
pub fn log() -> PathBuf {
    target("log")
}
