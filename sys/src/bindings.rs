//! What bindgen makes of `wsk.h` and the headers below it; build.rs generates it.

// UNSAFETY: the generated code declares foreign functions and initialises structures by their
// bytes.
#![expect(unsafe_code, reason = "generated from C headers")]
#![expect(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "generated from C headers"
)]
#![expect(
    clippy::all,
    clippy::pedantic,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    reason = "generated from C headers"
)]

include!(env!("WSK_SYS_BINDINGS"));

// Names the import library of the functions above. In a process of the host they come from whatever
// defines them.
#[cfg(all(windows, not(feature = "suppress-wdk-linking")))]
#[link(name = "netio", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}
