//! Breaks each property of a good image and expects exactly that check to fail.
//!
//! The image is made here, byte by byte: headers, one page each of code, data with the import
//! table, and relocations, and a signature. `Image::finish` restores digest and checksum after a
//! change, so that one change breaks one property.

use object::read::pe::PeFile64;
use sha2::{Digest, Sha256};

use super::{Exports, check, checksum};

const HEADERS: usize = 0x40;
const FILE_HEADER: usize = HEADERS + 4;
const OPTIONAL_HEADER: usize = FILE_HEADER + 20;
const CHECKSUM: usize = OPTIONAL_HEADER + 64;
const SUBSYSTEM: usize = OPTIONAL_HEADER + 68;
const DLL_CHARACTERISTICS: usize = OPTIONAL_HEADER + 70;
const DIRECTORIES: usize = OPTIONAL_HEADER + 112;
const SECTIONS: usize = DIRECTORIES + 16 * 8;
const SECTION_SIZE: usize = 40;
const SECTION_CHARACTERISTICS: usize = 36;
/// Where the parts lie in the file; the sections follow each other in memory by pages.
const TEXT: usize = 0x200;
const DATA: usize = 0x400;
const RELOCATIONS: usize = 0x600;
const CERTIFICATE: usize = 0x800;
/// In the data section: descriptors, thunks, names.
const THUNKS: usize = DATA + 0x40;
const HINT_AND_NAME: usize = DATA + 0x60;
const MODULE_NAME: usize = DATA + 0x80;
/// In the certificate: after the table's header, the SEQUENCE, the content type and the NULL tag.
const CONTENT: usize = CERTIFICATE + 8;
const DIGEST: usize = CONTENT + 2 + 11 + 2;
const END: usize = DIGEST + 32 + 1;

const READ: u32 = 0x4000_0000;
const WRITE: u32 = 0x8000_0000;
const EXECUTE: u32 = 0x2000_0000;

struct Image(Vec<u8>);

impl Image {
    fn good() -> Self {
        let mut image = Self(vec![0; END]);
        image.put(0, b"MZ");
        image.put32(0x3c, 0x40);
        image.put(HEADERS, b"PE\0\0");
        image.put16(FILE_HEADER, 0x8664);
        image.put16(FILE_HEADER + 2, 3);
        image.put16(FILE_HEADER + 16, 240);
        image.put16(FILE_HEADER + 18, 0x0022);
        image.put16(OPTIONAL_HEADER, 0x020b);
        image.put32(OPTIONAL_HEADER + 16, 0x1000);
        image.put32(OPTIONAL_HEADER + 32, 0x1000);
        image.put32(OPTIONAL_HEADER + 36, 0x200);
        image.put32(OPTIONAL_HEADER + 56, 0x4000);
        image.put32(OPTIONAL_HEADER + 60, 0x200);
        image.put16(SUBSYSTEM, 1);
        image.put16(DLL_CHARACTERISTICS, 0x0040 | 0x0080 | 0x0100);
        image.put32(OPTIONAL_HEADER + 108, 16);
        image.directory(1, 0x2000, 40);
        image.directory(4, 0x800, 56);
        image.directory(5, 0x3000, 12);
        image.section(0, b".text", READ | EXECUTE);
        image.section(1, b".rdata", READ);
        image.section(2, b".reloc", READ);
        image.import_table();
        image.put32(RELOCATIONS, 0x2000);
        image.put32(RELOCATIONS + 4, 12);
        image.put16(RELOCATIONS + 8, 0xa000);
        image.signature();
        image.finish()
    }

    fn import_table(&mut self) {
        self.put32(DATA, 0x2040);
        self.put32(DATA + 12, 0x2080);
        self.put32(DATA + 16, 0x2050);
        self.put32(THUNKS, 0x2060);
        self.put32(THUNKS + 0x10, 0x2060);
        self.put(HINT_AND_NAME + 2, b"IoFreeIrp\0");
        self.put(MODULE_NAME, b"ntoskrnl.exe\0");
    }

    fn signature(&mut self) {
        self.put32(CERTIFICATE, 56);
        self.put16(CERTIFICATE + 4, 0x0200);
        self.put16(CERTIFICATE + 6, 2);
        self.put(CONTENT, &[0x30, 45]);
        self.put(
            CONTENT + 2,
            &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2],
        );
        self.put(CONTENT + 13, &[4, 32]);
    }

    fn directory(&mut self, index: usize, address: u32, size: u32) {
        self.put32(DIRECTORIES + 8 * index, address);
        self.put32(DIRECTORIES + 8 * index + 4, size);
    }

    fn section(&mut self, index: u32, name: &[u8], characteristics: u32) {
        let at = SECTIONS + SECTION_SIZE * index as usize;
        self.put(at, name);
        self.put32(at + 8, 0x200);
        self.put32(at + 12, 0x1000 * (index + 1));
        self.put32(at + 16, 0x200);
        self.put32(at + 20, 0x200 * (index + 1));
        self.put32(at + SECTION_CHARACTERISTICS, characteristics);
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    /// Puts the digest into the signature, and the checksum.
    fn finish(mut self) -> Self {
        let mut hash = Sha256::new();
        hash.update(&self.0[..CHECKSUM]);
        hash.update(&self.0[CHECKSUM + 4..DIRECTORIES + 8 * 4]);
        hash.update(&self.0[DIRECTORIES + 8 * 5..CERTIFICATE]);
        let digest = hash.finalize();
        self.put(DIGEST, &digest);
        self.with_checksum()
    }

    fn with_checksum(mut self) -> Self {
        let sum = checksum(&self.0, CHECKSUM);
        self.put32(CHECKSUM, sum);
        self
    }

    /// The properties that do not hold, with what was found.
    fn failures(&self) -> Vec<(&'static str, String)> {
        let known = ["IoFreeIrp".to_owned()].into();
        let exports: Exports = [("ntoskrnl.exe", known)].into();
        let checks = check(&self.0, &exports).expect("the image has headers");
        checks
            .into_iter()
            .filter_map(|check| Some((check.property, check.outcome.err()?)))
            .collect()
    }
}

/// Makes a change to a good image and expects that one property fails, and says this.
#[track_caller]
fn breaks(property: &str, says: &str, change: impl FnOnce(&mut Image)) {
    let mut image = Image::good();
    change(&mut image);
    fails(&image.finish(), property, says);
}

#[track_caller]
fn fails(image: &Image, property: &str, says: &str) {
    let failures = image.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].0, property, "{failures:?}");
    assert!(failures[0].1.contains(says), "{failures:?}");
}

#[test]
fn image_good_passes_every_check() {
    assert_eq!(Image::good().failures(), []);
}

#[test]
fn machine_of_another_architecture_fails() {
    breaks("machine", "0x014c", |image| {
        image.put16(FILE_HEADER, 0x014c);
    });
}

#[test]
fn subsystem_of_a_program_fails() {
    breaks("subsystem", "not native", |image| image.put16(SUBSYSTEM, 3));
}

#[test]
fn modules_user_mode_library_fails() {
    breaks("modules", "KERNEL32.dll", |image| {
        image.put(MODULE_NAME, b"KERNEL32.dll\0");
    });
}

#[test]
fn modules_spelled_in_other_case_fails() {
    breaks("modules", "NTOSKRNL.EXE", |image| {
        image.put(MODULE_NAME, b"NTOSKRNL.EXE\0");
    });
}

#[test]
fn imports_name_that_is_not_exported_fails() {
    breaks("imports", "ntoskrnl.exe!IoFreeIrq", |image| {
        image.put(HINT_AND_NAME + 2, b"IoFreeIrq\0");
    });
}

#[test]
fn imports_by_number_fails() {
    breaks("imports", "ntoskrnl.exe!#7", |image| {
        image.put(THUNKS, &0x8000_0000_0000_0007_u64.to_le_bytes());
    });
}

#[test]
fn relocations_stripped_fails() {
    breaks("relocations", "stripped", |image| {
        image.put16(FILE_HEADER + 18, 0x0023);
    });
}

#[test]
fn relocations_without_table_fails() {
    breaks("relocations", "no table", |image| image.directory(5, 0, 0));
}

#[test]
fn dynamic_base_missing_fails() {
    breaks("dynamic base", "DYNAMIC_BASE", |image| {
        image.put16(DLL_CHARACTERISTICS, 0x0180);
    });
}

#[test]
fn no_execute_missing_fails() {
    breaks("no execute", "NX_COMPAT", |image| {
        image.put16(DLL_CHARACTERISTICS, 0x00c0);
    });
}

#[test]
fn integrity_missing_fails() {
    breaks("integrity", "FORCE_INTEGRITY", |image| {
        image.put16(DLL_CHARACTERISTICS, 0x0140);
    });
}

#[test]
fn sections_writable_code_fails() {
    breaks("sections", ".text", |image| {
        image.put32(SECTIONS + SECTION_CHARACTERISTICS, READ | WRITE | EXECUTE);
    });
}

#[test]
fn entry_point_in_data_fails() {
    breaks("entry point", "0x2000", |image| {
        image.put32(OPTIONAL_HEADER + 16, 0x2000);
    });
}

#[test]
fn entry_point_behind_code_fails() {
    breaks("entry point", "0x1200", |image| {
        image.put32(OPTIONAL_HEADER + 16, 0x1200);
    });
}

#[test]
fn checksum_of_zero_fails() {
    let mut image = Image::good();
    image.put32(CHECKSUM, 0);
    fails(&image, "checksum", "0x00000000 is stored");
}

#[test]
fn checksum_adds_words_with_carry_and_the_length() {
    // 0xffff + 0x0002 carries to 0x0002; the odd byte 0x05 counts as a word; 9 bytes.
    let bytes = [0xff, 0xff, 0x02, 0x00, 0xaa, 0xbb, 0xcc, 0xdd, 0x05];
    assert_eq!(checksum(&bytes, 4), 2 + 5 + 9);
}

#[test]
fn signature_missing_fails() {
    breaks("signature", "there is none", |image| {
        image.directory(4, 0, 0);
    });
}

#[test]
fn signature_outside_the_file_fails() {
    breaks("signature", "outside the file", |image| {
        image.directory(4, 0x800, 0x1000);
    });
}

#[test]
fn signature_of_another_kind_fails() {
    breaks("signature", "Authenticode", |image| {
        image.put16(CERTIFICATE + 6, 1);
    });
}

#[test]
fn signature_longer_than_its_table_fails() {
    breaks("signature", "exceeds", |image| {
        image.put32(CERTIFICATE, 57 + 8);
    });
}

#[test]
fn signature_that_is_no_sequence_fails() {
    breaks("signature", "DER", |image| {
        image.put(CONTENT, &[0x30, 0x7f]);
    });
}

#[test]
fn signature_of_other_content_fails() {
    breaks("signature", "PKCS #7", |image| {
        image.put(CONTENT + 12, &[3]);
    });
}

#[test]
fn signature_of_another_file_fails() {
    let mut image = Image::good();
    image.put(TEXT, &[0xc3]);
    fails(&image.with_checksum(), "signature", "another file");
}

#[test]
fn architecture_unknown_machine_is_refused() {
    let mut image = Image::good();
    image.put16(FILE_HEADER, 0x014c);
    let file = PeFile64::parse(&*image.0).expect("the image has headers");
    assert!(super::architecture(&file).is_err());
}
