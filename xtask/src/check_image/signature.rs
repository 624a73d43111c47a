//! The embedded Authenticode signature: is there one, is it well formed, and is it for this file?
//!
//! Who signed is not checked: test builds are signed by a certificate that nobody else trusts. The
//! digest of the file that the signature holds is recomputed.

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::PeFile64;
use sha2::{Digest, Sha256};

use super::{Outcome, checksum_offset};

/// The content type that follows the first SEQUENCE of signed data: OID 1.2.840.113549.1.7.2.
const SIGNED_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const REVISION_2: u16 = 0x0200;
const PKCS_SIGNED_DATA: u16 = 2;
/// Length, revision and type precede the certificate.
const HEADER: usize = 8;

/// Checks the signature of `image`.
pub fn check(file: &PeFile64<'_>, image: &[u8]) -> Outcome {
    let (start, content) = certificate(file, image)?;
    let body = sequence(content).ok_or("it is no DER sequence that fits its table")?;
    if !body.starts_with(&SIGNED_DATA) {
        return Err("its content is not PKCS #7 signed data".to_owned());
    }
    let digest = digest(file, &image[..start]).ok_or("the headers lie outside the file")?;
    if !content.windows(digest.len()).any(|window| window == digest) {
        return Err("it is for another file: the SHA-256 digest differs".to_owned());
    }
    Ok(format!(
        "{} bytes, SHA-256 digest of this file",
        content.len()
    ))
}

/// The first certificate: where the table starts, and the certificate without its header.
fn certificate<'a>(file: &PeFile64<'_>, image: &'a [u8]) -> Result<(usize, &'a [u8]), String> {
    let directory = file
        .data_directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY)
        .filter(|directory| directory.size.get(LE) != 0)
        .ok_or("there is none")?;
    // For this directory alone the address is an offset in the file.
    let start = directory.virtual_address.get(LE) as usize;
    let size = directory.size.get(LE) as usize;
    let table = start
        .checked_add(size)
        .and_then(|end| image.get(start..end))
        .ok_or("its table lies outside the file")?;
    let header: &[u8; HEADER] = table.first_chunk().ok_or("its table is too short")?;
    let [l0, l1, l2, l3, r0, r1, t0, t1] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if u16::from_le_bytes([r0, r1]) != REVISION_2
        || u16::from_le_bytes([t0, t1]) != PKCS_SIGNED_DATA
    {
        return Err("its header is not that of an Authenticode signature".to_owned());
    }
    let content = table
        .get(HEADER..length)
        .ok_or("its length exceeds its table")?;
    Ok((start, content))
}

/// The body of the DER SEQUENCE that fills `content`, but for the padding to 8 bytes.
fn sequence(content: &[u8]) -> Option<&[u8]> {
    let rest = content.strip_prefix(&[0x30])?;
    let (&first, rest) = rest.split_first()?;
    let (length, body) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, body) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (
            bytes
                .iter()
                .fold(0, |length, &byte| length << 8 | usize::from(byte)),
            body,
        )
    };
    let padding = body.len().checked_sub(length)?;
    if padding < 8 {
        body.get(..length)
    } else {
        None
    }
}

/// The Authenticode digest: `signed` without the checksum and the entry of the certificate table.
fn digest(file: &PeFile64<'_>, signed: &[u8]) -> Option<[u8; 32]> {
    let checksum = checksum_offset(file);
    // From the checksum to the data directories are 48 bytes.
    let entry = checksum + 48 + 8 * pe::IMAGE_DIRECTORY_ENTRY_SECURITY;
    let mut hash = Sha256::new();
    hash.update(signed.get(..checksum)?);
    hash.update(signed.get(checksum + 4..entry)?);
    hash.update(signed.get(entry + 8..)?);
    Some(hash.finalize().into())
}
