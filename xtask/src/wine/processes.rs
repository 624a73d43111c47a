//! The processes of a prefix: which they are, and their end.
//!
//! Called by `wine` when a session starts, and when it ends, also after an error or an interrupt:
//! nothing here gives up because the user has interrupted. Ours are those whose environment names
//! the prefix and whose program is one of Wine's; no other process is touched.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{INSTALL, OWN_NETIO, TICK, environment};

/// How long Wine may take to end when it is asked to, and again when it is made to.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Ends every process of the prefix: asks Wine's server, then makes those that did not listen.
pub fn end_all(prefix: &Path) -> Result<()> {
    if processes(prefix)?.is_empty() {
        return Ok(());
    }
    let asked = ask_server_to_end(prefix);
    if wait_until_ended(prefix)?.is_empty() {
        return Ok(());
    }
    for process in processes(prefix)? {
        // One that has just ended by itself makes `kill` fail; the check below is what counts.
        let _ = Command::new("kill")
            .args(["-KILL", &process.id.to_string()])
            .stderr(Stdio::null())
            .status();
    }
    let left = wait_until_ended(prefix)?;
    if left.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = left
        .iter()
        .map(|p| format!("{} ({})", p.id, p.name))
        .collect();
    let message = format!(
        "processes of Wine in {} do not end: {}; end them with `kill -KILL`",
        prefix.display(),
        names.join(", ")
    );
    match asked {
        Ok(()) => bail!(message),
        Err(error) => Err(error.context(message)),
    }
}

/// `wineserver -k` ends all processes of the prefix and writes the registry to disk.
fn ask_server_to_end(prefix: &Path) -> Result<()> {
    let mut server = Command::new("wineserver")
        .arg("-k")
        .envs(environment(prefix, OWN_NETIO))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run `wineserver`: {INSTALL}"))?;
    let deadline = Instant::now() + END_LIMIT;
    while server
        .try_wait()
        .context("cannot wait for `wineserver -k`")?
        .is_none()
    {
        if Instant::now() >= deadline {
            server.kill().context("cannot end `wineserver -k`")?;
            server.wait().context("cannot wait for `wineserver -k`")?;
            bail!("`wineserver -k` took longer than {} s", END_LIMIT.as_secs());
        }
        thread::sleep(TICK);
    }
    Ok(())
}

/// Waits for the end of all processes of the prefix; returns those that are left.
fn wait_until_ended(prefix: &Path) -> Result<Vec<Process>> {
    let deadline = Instant::now() + END_LIMIT;
    loop {
        let left = processes(prefix)?;
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        thread::sleep(TICK);
    }
}

/// A process of Wine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    name: String,
}

/// The processes whose environment names this prefix and whose program is one of Wine's.
fn processes(prefix: &Path) -> Result<Vec<Process>> {
    let list = fs::read_dir("/proc").context("cannot read /proc, which lists Wine's processes")?;
    let mut found = Vec::new();
    for entry in list.flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end at any moment; those of other users cannot be read. Neither is ours.
        let Ok(environment) = fs::read(entry.path().join("environ")) else {
            continue;
        };
        let Ok(program) = fs::read_link(entry.path().join("exe")) else {
            continue;
        };
        if names_prefix(&environment, prefix) && is_wine(&program) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(Process {
                id,
                name: name.trim().to_owned(),
            });
        }
    }
    Ok(found)
}

fn names_prefix(environment: &[u8], prefix: &Path) -> bool {
    let value = prefix.as_os_str().as_encoded_bytes();
    environment
        .split(|&byte| byte == 0)
        .any(|variable| variable.strip_prefix(b"WINEPREFIX=") == Some(value))
}

fn is_wine(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b"wine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_of_the_prefix_is_recognised() {
        let environment = b"A=1\0WINEPREFIX=/p/prefix\0B=2\0";
        assert!(names_prefix(environment, Path::new("/p/prefix")));
        assert!(is_wine(Path::new("/usr/lib/wine/wine64-preloader")));
    }

    #[test]
    fn process_of_another_prefix_is_left_alone() {
        let other = b"WINEPREFIX=/p/prefix2\0";
        assert!(!names_prefix(other, Path::new("/p/prefix")));
        assert!(!names_prefix(b"PATH=/p/prefix\0", Path::new("/p/prefix")));
    }

    #[test]
    fn shell_that_exports_the_prefix_is_left_alone() {
        assert!(!is_wine(Path::new("/usr/bin/bash")));
    }
}
