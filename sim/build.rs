//! Compiles the one C file: what Rust cannot express (a variadic definition, leaving a thread's
//! frames behind).
fn main() {
    println!("cargo::rerun-if-changed=src/kernel/shim.c");
    cc::Build::new()
        .file("src/kernel/shim.c")
        .warnings_into_errors(true)
        .compile("wsk_sim_shim");
}
