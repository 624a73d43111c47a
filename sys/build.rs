//! Generates the bindings of wsk.h and netioddk.h from the headers of the WDK at hand, on top of
//! the types that wdk-sys already has. Nothing here knows where those headers come from.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use bindgen::{
    Builder,
    callbacks::{DeriveTrait, ImplementsTrait, ParseCallbacks},
};
use wdk_build::{ApiSubset, BuilderExt, Config, configure_wdk_library_build_and_then};

/// The headers whose contents are bound. What the headers around them declare is in wdk-sys.
const HEADERS: &str =
    "wsk|netioddk|netiodef|ws2def|ws2ipdef|mstcpip|mswsockdef|inaddr|in6addr|ifdef|nldef";

/// Defined in src/ instead: in C their members are unnamed structures, which bindgen loses.
const TYPES_BY_HAND: &str = "P?INET_PORT_RESERVATION_(INSTANCE|INFORMATION)";

/// Defined in src/ instead: macros with casts, sizeof or calls of other macros, of which bindgen
/// evaluates none or some; and declarations of data that is in no import library of the kernel.
const VALUES_BY_HAND: &str = "SIO_\\w+|SO_DONTLINGER|SO_EXCLUSIVEADDRUSE|INADDR_\\w+|\
    IPV6_ADDRESS_BITS|_SS_(ALIGN|PAD1|PAD2)SIZE|IP_UNSPECIFIED_\\w+|PROTECTION_LEVEL_DEFAULT|\
    TCP_INITIAL_RTO_\\w+|NMR_REG_KEY_PATH|NPI_WSK_INTERFACE_ID|NPI_MS_\\w+_MODULEID";

const NO_DRIVER_MODEL: &str = "wsk-sys needs a kernel driver model, and neither \
    [package.metadata.wdk.driver-model] nor [workspace.metadata.wdk.driver-model] was found: add \
    one of them, with driver-type \"WDM\" or \"KMDF\"";

fn main() -> Result<(), Box<dyn Error>> {
    let bindings = PathBuf::from(env::var("OUT_DIR")?).join("bindings.rs");
    // What an earlier configuration generated must not outlive it.
    if bindings.exists() {
        fs::remove_file(&bindings)?;
    }
    configure_wdk_library_build_and_then(|config| generate(&config, &bindings))?;
    if !bindings.exists() {
        return Err(NO_DRIVER_MODEL.into());
    }
    Ok(())
}

fn generate(config: &Config, bindings: &Path) -> Result<(), Box<dyn Error>> {
    let base = config.bindgen_header_contents([ApiSubset::Base])?;
    let include = env::join_paths(config.include_paths()?)?;
    println!("cargo::rustc-env=WSK_SYS_INCLUDE={}", include.display());
    Builder::wdk_default(config)?
        .header_contents("wsk-input.h", &format!("{base}#include <wsk.h>\n"))
        .parse_callbacks(Box::new(TypesOfWdkSys))
        .raw_line("use wdk_sys::*;")
        .allowlist_file(format!(r"(?i).*[/\\]({HEADERS})\.h"))
        .allowlist_recursively(false)
        .blocklist_type(TYPES_BY_HAND)
        .blocklist_var(VALUES_BY_HAND)
        .wrap_unsafe_ops(true)
        .generate()?
        .write_to_file(bindings)?;
    // For src/bindings.rs and for the tests.
    println!("cargo::rustc-env=WSK_SYS_BINDINGS={}", bindings.display());
    Ok(())
}

/// What bindgen is told of types that it must not generate again.
#[derive(Debug)]
struct TypesOfWdkSys;

impl ParseCallbacks for TypesOfWdkSys {
    /// Every C type of wdk-sys that the headers embed is plain data. Were bindgen not told, it
    /// would make every union of them a structure of its own invention, without Copy.
    fn blocklisted_type_implements_trait(
        &self,
        _name: &str,
        derive_trait: DeriveTrait,
    ) -> Option<ImplementsTrait> {
        (derive_trait == DeriveTrait::Copy).then_some(ImplementsTrait::Yes)
    }
}
