//! The archive that makes a user of MinIO in one request: a zip whose files are stored, not compressed.

use serde_json::{Value, json};
use temporal_stack_common::s3::{Key, policy};

/// The archive with a user, its policy, and which of both belong together.
pub(super) fn import(bucket: &str, key: &Key) -> Vec<u8> {
    let policy: Value = serde_json::from_str(&policy::document(bucket)).expect("a policy is JSON");
    let name = format!("only-{bucket}");
    zip(&[
        ("iam-assets/policies.json", &json!({ &name: policy }).to_string()),
        ("iam-assets/users.json", &json!({ &key.id: {"secretKey": key.secret, "status": "enabled"} }).to_string()),
        ("iam-assets/user_mappings.json", &json!({ &key.id: {"version": 1, "policy": name} }).to_string()),
    ])
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let offset = length(archive.len());
        let [size, named] = [length(text.len()), length(name.len())];
        let mut shared = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        for number in [crc32(text.as_bytes()), size, size] {
            shared.extend(number.to_le_bytes());
        }
        shared.extend(&named.to_le_bytes()[..2]);
        shared.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&shared);
        archive.extend(name.as_bytes());
        archive.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&shared);
        // No comment, the first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let begin = length(archive.len());
    let count = &length(files.len()).to_le_bytes()[..2];
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend(length(directory.len()).to_le_bytes());
    archive.extend(begin.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

fn length(number: usize) -> u32 {
    u32::try_from(number).expect("an archive is small")
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

#[test]
fn checksum_of_an_archive_is_that_of_zip() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}
