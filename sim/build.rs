//! Compiles the one C file: what Rust cannot express (a variadic definition, leaving a thread's
//! frames behind). It belongs to the simulated kernel, which does not exist on Windows.
fn main() {
    println!("cargo::rerun-if-changed=src/kernel/shim.c");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        return;
    }
    cc::Build::new()
        .file("src/kernel/shim.c")
        .warnings_into_errors(true)
        .compile("wsk_sim_shim");
}
