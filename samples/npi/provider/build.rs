//! Configures the driver for the WDK at hand, or, for a process of the host, the library alone.

use std::env;

fn main() -> Result<(), wdk_build::ConfigError> {
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "windows") {
        // The checksum in the image's header. Microsoft's build rules ask for it, wdk-build does
        // not.
        println!("cargo::rustc-cdylib-link-arg=/RELEASE");
        wdk_build::configure_wdk_binary_build()
    } else {
        wdk_build::configure_wdk_library_build()
    }
}
