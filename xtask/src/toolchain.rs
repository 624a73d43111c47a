//! Which Cargo builds what, in which environment and into which directory.
//!
//! Four kinds of build, each with a target directory of its own, so that none undoes another's
//! work: host tools (`target`), kernel-side crates in a process of the host with Windows' layouts
//! (`target/native`), Windows images (`target/windows`), and what runs in Wine beside them, the
//! simulator as a library and a program (`target/netio`). All use `--locked`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::kit::{Kit, WindowsRust};
use crate::paths;
use crate::process::{Step, ask};

/// The target of a driver for 64-bit PCs.
pub const X64: &str = "x86_64-pc-windows-msvc";
/// The target of libraries that run in Wine's processes.
pub const X64_GNU: &str = "x86_64-pc-windows-gnu";
/// The target of a driver for 64-bit ARM.
pub const ARM64: &str = "aarch64-pc-windows-msvc";
/// The target of native tests. Naming it keeps build scripts apart from what they build.
pub const NATIVE: &str = "x86_64-unknown-linux-gnu";
/// Debian's compiler, from its package rustc-web.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// The profile of host tools.
pub const TOOL_PROFILE: [&str; 2] = ["--profile", "tool"];

/// A step that runs the Cargo which started xtask, for host tools.
pub fn host_cargo(what: &str) -> Step {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    without_package_variables(Step::new(what, cargo))
        .env("CARGO_TARGET_DIR", paths::root().join("target"))
}

/// The compiler of the Cargo that started xtask.
pub fn host_rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// A step that runs `cargo SUBCOMMAND` on kernel-side crates for the native target.
pub fn native_cargo(kit: &Kit, what: &str, subcommand: &[&str]) -> Step {
    host_cargo(what)
        .args(subcommand)
        .args(["--locked", "--target", NATIVE])
        .args(kit.source_arguments())
        .envs(kit.variables())
        // Link-time optimization serves the kernel image; here it would only cost time.
        .env("CARGO_PROFILE_DEV_LTO", "off")
        .env("CARGO_TARGET_DIR", native_directory())
}

/// The target directory of the native builds.
pub fn native_directory() -> PathBuf {
    paths::target("native")
}

/// A step that runs `cargo SUBCOMMAND` for a Windows target.
pub fn windows_cargo(kit: &Kit, what: &str, subcommand: &[&str], target: &str) -> Step {
    let step = match &kit.rust {
        WindowsRust::Rustup => host_cargo(what).args(subcommand),
        WindowsRust::Debian { .. } => debian_cargo(what).args(subcommand).args(BUILD_STD),
    };
    let linker = format!(
        "CARGO_TARGET_{}_LINKER",
        target.to_uppercase().replace('-', "_")
    );
    for_windows(step, kit, target)
        .env(linker, "lld-link-19")
        .env("CARGO_TARGET_DIR", paths::target("windows"))
}

/// Has a Cargo build for a Windows target, with the kit.
fn for_windows(step: Step, kit: &Kit, target: &str) -> Step {
    step.args(["--locked", "--target", target])
        .args(kit.source_arguments())
        .envs(kit.variables())
        // They would replace the flags of .cargo/config.toml, without which no image links.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
}

/// A step that runs `cargo SUBCOMMAND` for programs and libraries in Wine.
pub fn gnu_cargo(kit: &Kit, what: &str, subcommand: &[&str]) -> Result<Step> {
    let args = ["--print", "target-libdir", "--target", X64_GNU];
    let directory = ask(host_rustc(), &args)?;
    let step = if PathBuf::from(directory.trim()).is_dir() {
        host_cargo(what).args(subcommand)
    } else if matches!(kit.rust, WindowsRust::Debian { .. }) {
        debian_cargo(what)
            .args(subcommand)
            .arg("-Zbuild-std=std,panic_abort")
    } else {
        bail!("Rust for {X64_GNU} is missing\n  what to do: rustup target add {X64_GNU}");
    };
    Ok(for_windows(step, kit, X64_GNU)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", GNU_LINKER)
        // bindgen would otherwise see the headers as mingw-w64's compiler does.
        .env(
            "BINDGEN_EXTRA_CLANG_ARGS",
            "--target=x86_64-pc-windows-msvc",
        )
        // Link-time optimization and symbols serve the kernel image; here they only cost time.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_TARGET_DIR", gnu_target_directory()))
}

/// mingw-w64's linker.
pub const GNU_LINKER: &str = "x86_64-w64-mingw32-gcc";

/// Where Cargo puts programs and libraries for Wine.
pub fn gnu_directory() -> PathBuf {
    gnu_target_directory().join(X64_GNU)
}

fn gnu_target_directory() -> PathBuf {
    paths::target("netio")
}

/// A step that runs `cargo vendor`. Debian's Cargo is the one that reads the manifest of Debian's
/// standard library.
pub fn vendor_cargo(rust: &WindowsRust, what: &str) -> Step {
    match rust {
        WindowsRust::Rustup => host_cargo(what).args(["vendor", "--locked"]),
        WindowsRust::Debian { library } => debian_cargo(what)
            .args(["vendor", "--locked", "--sync"])
            .arg(library.join("Cargo.toml")),
    }
}

/// Builds `core` and `alloc` from source. Without optimization the float routines of
/// `compiler_builtins` refer to symbols that nobody defines.
const BUILD_STD: [&str; 3] = [
    "-Zbuild-std=core,alloc",
    "--config",
    "profile.dev.package.compiler_builtins.opt-level=3",
];

/// A step that runs Debian's Cargo.
pub fn debian_cargo(what: &str) -> Step {
    without_package_variables(Step::new(what, DEBIAN_CARGO))
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTC_WRAPPER")
        // rustup's proxies and `cargo run` point these at another toolchain.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("LD_LIBRARY_PATH")
}

/// Removes what `cargo run` tells xtask about its own package: a build script that looks at such a
/// variable would run again whenever xtask was started in another way.
fn without_package_variables(mut step: Step) -> Step {
    for (name, _) in env::vars_os() {
        let own = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if own {
            step = step.env_remove(name);
        }
    }
    step
}
