//! Compiles the driver.
fn main() {
    println!("cargo::rerun-if-changed=src/echo.h");
    wsk_sim_cc::Driver::new("echo")
        .file("src/driver.c")
        .file("src/server.c")
        .compile();
}
