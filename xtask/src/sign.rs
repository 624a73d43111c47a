//! Test-signs images with a certificate of our own, made on first use, kept in `target/kit/sign`.
//!
//! Windows loads what it signs only in test mode with that certificate installed, which is what a
//! developer's machine is for. Release signing is Microsoft's business.

use std::path::Path;

use anyhow::Result;

use crate::kit::stamp;
use crate::paths;
use crate::process::Step;

/// Signs `image` and writes the result to `signed`.
pub fn sign(image: &Path, signed: &Path) -> Result<()> {
    let directory = paths::kit().join("sign");
    let (key, certificate) = (directory.join("key.pem"), directory.join("certificate.pem"));
    if !(key.is_file() && certificate.is_file()) {
        make_certificate(&key, &certificate)?;
    }
    // It refuses to overwrite.
    stamp::remove(signed)?;
    Step::new("test-sign", "osslsigncode")
        .args(["sign", "-h", "sha256", "-certs"])
        .arg(&certificate)
        .arg("-key")
        .arg(&key)
        .arg("-in")
        .arg(image)
        .arg("-out")
        .arg(signed)
        .silent()
        .run()
        .map(drop)
}

fn make_certificate(key: &Path, certificate: &Path) -> Result<()> {
    stamp::create_parent(key)?;
    Step::new("make the test certificate", "openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
        ])
        .args([
            "-subj",
            "/CN=wsk test signing",
            "-addext",
            "extendedKeyUsage=codeSigning",
        ])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .silent()
        .run()
        .map(drop)
}
