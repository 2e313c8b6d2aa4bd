//! An archive of files that are stored as they are: the one format that the server imports users in.

/// The signatures of the parts of an archive.
const FILE: u32 = 0x0403_4b50;
const ENTRY: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// The version of the format that a reader needs: 2.0.
const VERSION: u16 = 20;
/// 1 January 1980, the earliest date of the format.
const DATE: u16 = 0x0021;

/// The archive of these files, each with its path. All are small: sizes and counts fit by far.
pub(super) fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (path, content) in files {
        let offset = archive.len();
        archive.extend(FILE.to_le_bytes());
        archive.extend(header(path, content));
        archive.extend(path.as_bytes());
        archive.extend(content);
        directory.extend(ENTRY.to_le_bytes());
        directory.extend(VERSION.to_le_bytes());
        directory.extend(header(path, content));
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(long(offset));
        directory.extend(path.as_bytes());
    }
    let (offset, size, count) = (archive.len(), directory.len(), short(files.len()));
    archive.extend(directory);
    archive.extend(END.to_le_bytes());
    archive.extend([0; 4]);
    archive.extend([count, count].concat());
    archive.extend([long(size), long(offset)].concat());
    // No comment.
    archive.extend([0; 2]);
    archive
}

/// What both headers of a file have in common.
fn header(path: &str, content: &[u8]) -> Vec<u8> {
    let mut header = VERSION.to_le_bytes().to_vec();
    // No flags, stored, no time.
    header.extend([0; 6]);
    header.extend(DATE.to_le_bytes());
    header.extend(crc32(content).to_le_bytes());
    header.extend([long(content.len()), long(content.len())].concat());
    header.extend([short(path.len()), short(0)].concat());
    header
}

fn long(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}

/// The checksum of the format: CRC-32 (ISO-HDLC), bit by bit, because a file has a few hundred bytes.
fn crc32(content: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !content.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn archive_of_one_file_has_the_bytes_of_the_format() {
        let found = temporal_stack_common::manifest::hex(&archive(&[("a", b"hello".to_vec())]));
        // As other programs read it: checked with Python's zipfile.
        let header = "1400000000000000210086a6103605000000050000000100";
        let file = format!("504b0304{header}00006168656c6c6f");
        let entry = format!("504b01021400{header}0000{}61", "00".repeat(14));
        let end = "504b050600000000010001002f000000240000000000";
        assert_eq!(found, format!("{file}{entry}{end}"));
    }
}
