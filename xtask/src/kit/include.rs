//! The include tree for a machine without a WDK: the project's headers and shims over mingw-w64's.
//!
//! `wdk-build` searches `km/crt`, `km` and `shared`, in this order: the first holds our own files,
//! the second mingw's driver headers, the third its Windows headers. All are links, so an edited
//! header is seen at once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::stamp;
use crate::paths;

/// Where Debian's mingw-w64-x86-64-dev puts the headers.
const MINGW: &str = "/usr/x86_64-w64-mingw32/include";

/// Makes the tree `root`, the `Include/VERSION` of the kit.
pub fn ensure(root: &Path) -> Result<()> {
    let ours = own_headers()?;
    let ddk = files(&Path::new(MINGW).join("ddk"))?;
    let inputs = format!("{MINGW}\n{ours:#?}\n{ddk:#?}");
    stamp::up_to_date(root, &inputs, || {
        stamp::remove(root)?;
        link_all(&ours, &root.join("km/crt"))?;
        link_all(&ddk, &root.join("km"))?;
        link(Path::new(MINGW), &root.join("shared"))
    })
}

/// The files of kit/shim and kit/include. A name may occur only once: the second would be hidden.
fn own_headers() -> Result<Vec<PathBuf>> {
    let mut all = files(&paths::root().join("kit/shim"))?;
    all.extend(files(&paths::root().join("kit/include"))?);
    all.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    if let Some(pair) = all
        .windows(2)
        .find(|pair| pair[0].file_name() == pair[1].file_name())
    {
        bail!(
            "{} and {} have the same name",
            pair[0].display(),
            pair[1].display()
        );
    }
    Ok(all)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<_> {
        let mut all = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_file() {
                all.push(path);
            }
        }
        all.sort();
        Ok(all)
    };
    list().with_context(|| format!("cannot list {}", directory.display()))
}

fn link_all(files: &[PathBuf], directory: &Path) -> Result<()> {
    for file in files {
        let name = file.file_name().context("a header has a name")?;
        link(file, &directory.join(name))?;
    }
    Ok(())
}

/// Makes `link` point to `target`.
pub fn link(target: &Path, link: &Path) -> Result<()> {
    stamp::create_parent(link)?;
    symlink(target, link)
        .with_context(|| format!("cannot link {} to {}", link.display(), target.display()))
}

#[cfg(unix)]
use std::os::unix::fs::symlink;

#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;
