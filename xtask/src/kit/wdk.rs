//! A real WDK on a case-sensitive file system, as the compiler and the linker need to see it.
//!
//! Microsoft's headers include each other under spellings that differ from the names on disk, and
//! `wdk-build` asks for directories under its own. The view is a tree of links: every directory and
//! file under its name in lower case and as it is on disk, and under every spelling that some
//! `#include` in the tree uses for it. The WDK itself is only read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{include, stamp};

/// What a kernel driver includes, in the order in which `wdk-build` searches.
const SEARCHED: [&str; 3] = ["km/crt", "km", "shared"];
/// Libraries that the linker is asked for by a name which is neither in lower case nor, perhaps, as
/// on disk.
const LIBRARIES: [&str; 1] = ["BufferOverflowFastFailK.lib"];

/// Makes `view` of the WDK in `root`. Returns the content root for `wdk-build` and the version.
pub fn ensure(root: &Path, view: &Path) -> Result<(PathBuf, String)> {
    let versions = versions(root)?;
    let asked = std::env::var("Version_Number").ok();
    let version = choose(&versions, asked.as_deref()).with_context(|| {
        format!(
            "WDKContentRoot is {}, which does not serve\n  {ADVICE}",
            root.display()
        )
    })?;
    let mut tree = Tree::default();
    let include = find(root, &["include", &version]).context("the version was found there")?;
    for part in ["km", "shared"] {
        let directory = find(&include, &[part])
            .with_context(|| format!("{} has no {part}\n  {ADVICE}", include.display()))?;
        tree.add(&directory, part)?;
    }
    tree.add_spellings()?;
    let mut links = tree.links(&Path::new("Include").join(&version));
    links.extend(library_links(root, &version)?);

    let inputs = format!("{links:#?}");
    stamp::up_to_date(view, &inputs, || {
        stamp::remove(view)?;
        links
            .iter()
            .try_for_each(|(link, target)| include::link(target, &view.join(link)))
    })?;
    Ok((view.to_path_buf(), version))
}

const ADVICE: &str = "what to do: let it name the directory that holds the WDK's Include and Lib \
                      (..\\Windows Kits\\10), or unset it to use this project's own headers";

/// The versions for which the WDK has driver headers.
fn versions(root: &Path) -> Result<Vec<String>> {
    let include = find(root, &["include"])
        .with_context(|| format!("{} has no Include directory\n  {ADVICE}", root.display()))?;
    let has_headers = |name: &String| find(&include, &[name, "km", "wdm.h"]).is_some();
    Ok(entries(&include)?.into_keys().filter(has_headers).collect())
}

/// The version asked for, or the newest.
fn choose(versions: &[String], asked: Option<&str>) -> Result<String> {
    let number = |version: &String| -> Vec<u32> {
        version
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    let found = match asked {
        Some(asked) => versions.iter().find(|version| *version == asked),
        None => versions.iter().max_by_key(|version| number(version)),
    };
    match (found, asked) {
        (Some(version), _) => Ok(version.clone()),
        (None, Some(asked)) => {
            bail!("it has no km/wdm.h for Version_Number {asked}, only for {versions:?}")
        }
        (None, None) => bail!("no version below its Include has a km/wdm.h"),
    }
}

/// Follows `path` below `directory`, whatever the case of the names.
fn find(directory: &Path, path: &[&str]) -> Option<PathBuf> {
    path.iter()
        .try_fold(directory.to_path_buf(), |directory, name| {
            let exact = directory.join(name);
            if exact.exists() {
                return Some(exact);
            }
            let entries = entries(&directory).ok()?;
            entries
                .into_iter()
                .find(|(entry, _)| entry.eq_ignore_ascii_case(name))
                .map(|(_, path)| path)
        })
}

fn entries(directory: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let list = || -> std::io::Result<_> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            all.insert(
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            );
        }
        Ok(all)
    };
    list().with_context(|| format!("cannot list {}", directory.display()))
}

/// The links for the libraries of both architectures that a driver may be built for.
fn library_links(root: &Path, version: &str) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut links = BTreeMap::new();
    for architecture in ["x64", "ARM64"] {
        let Some(directory) = find(root, &["lib", version, "km", architecture]) else {
            continue;
        };
        let place = Path::new("Lib").join(version).join("km").join(architecture);
        for (name, library) in entries(&directory)? {
            links.insert(place.join(name.to_ascii_lowercase()), library.clone());
            links.insert(place.join(name), library);
        }
        for name in LIBRARIES {
            if let Some(library) = find(&directory, &[name]) {
                links.insert(place.join(name), library);
            }
        }
    }
    if links.is_empty() {
        bail!("{} has no Lib/{version}/km/x64\n  {ADVICE}", root.display());
    }
    Ok(links)
}

/// Part of an include tree. Paths in it are relative and in lower case, with `/`.
#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<String, PathBuf>,
    directories: BTreeSet<String>,
    /// Further names of a file or directory: the directory it is in, and the name.
    spellings: BTreeMap<String, BTreeSet<String>>,
}

impl Tree {
    /// Adds everything below `directory` under the name `place`.
    fn add(&mut self, directory: &Path, place: &str) -> Result<()> {
        self.directories.insert(place.to_owned());
        for (name, path) in entries(directory)? {
            let lower = format!("{place}/{}", name.to_ascii_lowercase());
            self.spell(place, &name);
            if path.is_dir() {
                self.add(&path, &lower)?;
            } else {
                self.files.insert(lower, path);
            }
        }
        Ok(())
    }

    fn spell(&mut self, place: &str, name: &str) {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.spellings
                .entry(place.to_owned())
                .or_default()
                .insert(name.to_owned());
        }
    }

    /// Finds the spellings that the files use for each other.
    fn add_spellings(&mut self) -> Result<()> {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|(place, path)| (place.clone(), path.clone()))
            .collect();
        for (place, path) in files {
            let text =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let own = place
                .rsplit_once('/')
                .map_or("", |(directory, _)| directory);
            for name in included(&String::from_utf8_lossy(&text)) {
                for base in [own].iter().chain(&SEARCHED) {
                    self.spell_path(base, &name);
                }
            }
        }
        Ok(())
    }

    /// Records the spelling of each component of `path`, if it leads somewhere from `base`.
    fn spell_path(&mut self, base: &str, path: &str) {
        let full = format!("{base}/{path}").to_ascii_lowercase();
        if !self.files.contains_key(&full) {
            return;
        }
        let mut place = base.to_owned();
        for name in path.split('/') {
            self.spell(&place, name);
            place = format!("{place}/{}", name.to_ascii_lowercase());
        }
    }

    /// Every link of the view: where, and to what. Spellings of directories are relative links.
    fn links(&self, root: &Path) -> BTreeMap<PathBuf, PathBuf> {
        let mut links: BTreeMap<_, _> = self
            .files
            .iter()
            .map(|(place, path)| (root.join(place), path.clone()))
            .collect();
        for (place, names) in &self.spellings {
            for name in names {
                let lower = name.to_ascii_lowercase();
                let target = match self.files.get(&format!("{place}/{lower}")) {
                    Some(path) => path.clone(),
                    None => PathBuf::from(lower),
                };
                links.insert(root.join(place).join(name), target);
            }
        }
        links
    }
}

/// The paths in the `#include` directives of a header, with `/`, as they are spelled.
fn included(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let rest = line
            .trim_start()
            .strip_prefix('#')?
            .trim_start()
            .strip_prefix("include")?;
        let rest = rest.trim_start();
        let end = match rest.chars().next()? {
            '<' => '>',
            '"' => '"',
            _ => return None,
        };
        rest[1..]
            .split_once(end)
            .map(|(name, _)| name.replace('\\', "/"))
    };
    text.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{choose, ensure, included};

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory can be made");
        fs::write(path, text).expect("a file can be written");
    }

    fn real() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory can be made");
        write(
            root.path(),
            "include/10.0.1.0/KM/wdm.h",
            "#include \"NtDef.h\"\n",
        );
        write(root.path(), "include/10.0.1.0/KM/crt/excpt.h", "");
        write(
            root.path(),
            "include/10.0.1.0/Shared/ntdef.h",
            "# include <Sub\\DeepER.h>\n",
        );
        write(
            root.path(),
            "include/10.0.1.0/Shared/sub/Deeper.H",
            "#include \"deePEST.h\"\n",
        );
        write(
            root.path(),
            "include/10.0.1.0/Shared/sub/deepest.h",
            "found",
        );
        write(root.path(), "lib/10.0.1.0/km/x64/NtosKrnl.lib", "library");
        root
    }

    #[test]
    fn view_every_used_spelling_leads_to_the_file() {
        let (real, view) = (real(), tempfile::tempdir().expect("a temporary directory"));
        let (root, version) =
            ensure(real.path(), &view.path().join("v")).expect("the view can be made");
        assert_eq!(version, "10.0.1.0");
        let include = root.join("Include/10.0.1.0");
        for path in [
            "km/wdm.h",
            "km/crt/excpt.h",
            "shared/NtDef.h",
            "shared/ntdef.h",
            "shared/Sub/DeepER.h",
            "shared/sub/Deeper.H",
            "shared/sub/deeper.h",
        ] {
            assert!(include.join(path).is_file(), "{path}");
        }
        let deepest = fs::read_to_string(include.join("shared/Sub/deePEST.h"));
        assert_eq!(deepest.ok().as_deref(), Some("found"));
        let library = fs::read_to_string(root.join("Lib/10.0.1.0/km/x64/ntoskrnl.lib"));
        assert_eq!(library.ok().as_deref(), Some("library"));
    }

    #[test]
    fn view_directory_without_headers_is_refused() {
        let empty = tempfile::tempdir().expect("a temporary directory");
        let error = ensure(empty.path(), &empty.path().join("v")).expect_err("it must fail");
        assert!(format!("{error:#}").contains("has no Include"), "{error:#}");
    }

    #[test]
    fn choose_without_wish_takes_the_newest_by_number() {
        let versions = ["10.0.9.0".to_owned(), "10.0.22621.0".to_owned()];
        assert_eq!(
            choose(&versions, None).ok().as_deref(),
            Some("10.0.22621.0")
        );
    }

    #[test]
    fn choose_absent_version_is_refused() {
        assert!(choose(&["10.0.9.0".to_owned()], Some("10.0.8.0")).is_err());
    }

    #[test]
    fn included_takes_both_forms_and_nothing_else() {
        let text =
            "#include <a\\B.h>\n  #  include \"c.h\" // x\n//#include <no.h>\n#include MACRO\n";
        assert_eq!(included(text), ["a/B.h", "c.h"]);
    }
}
