//! The parts of a dag-pb node that determine its sizes. Complete parsers refuse some nodes that a Kubo of 2020 read.
//!
//! ```text
//! PBNode  1 Data  bytes     PBLink  1 Hash   bytes
//!         2 Links PBLink            2 Name   string
//!                                   3 Tsize  uint64
//! ```

/// The parts of a dag-pb node for its sizes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// How many links it has.
    pub(super) links: u64,
    /// The sizes in the links, in bytes.
    pub(super) size_of_links: u64,
    /// How long its data are, in bytes.
    pub(super) data: u64,
}

impl Node {
    /// Reads a block; `None` if it is no such node.
    pub(super) fn read(block: &[u8]) -> Option<Self> {
        let mut node = Self::default();
        let mut fields = Fields(block);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(data)) => node.data = super::length(data.len()),
                (2, Field::Bytes(link)) => {
                    node.links += 1;
                    node.size_of_links = node.size_of_links.saturating_add(size_of(link)?);
                }
                _ => {}
            }
        }
        Some(node)
    }
}

fn size_of(link: &[u8]) -> Option<u64> {
    let (mut fields, mut size) = (Fields(link), 0);
    while let Some(field) = fields.next()? {
        if let (3, Field::Number(number)) = field {
            size = number;
        }
    }
    Some(size)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The rest of a protobuf message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field with its number. The outer `None` is an invalid message, the inner its end.
    #[expect(clippy::option_option, reason = "read with `?`, as here and above")]
    fn next(&mut self) -> Option<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => self.bytes(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some(Some((key >> 3, field)))
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length], bytes].concat()
    }

    #[test]
    fn links_before_the_data_are_read() {
        let link = [field(1, b"a hash"), field(2, b"a name"), vec![3 << 3, 0x80, 0x80, 0x01]].concat();
        let block = [field(2, &link), field(2, &link), field(1, b"data")].concat();
        assert_eq!(Node::read(&block), Some(Node { links: 2, size_of_links: 2 << 14, data: 4 }));
    }

    #[test]
    fn absent_data_and_size_count_as_zero() {
        assert_eq!(Node::read(b""), Some(Node::default()));
        let block = field(2, &field(1, b"a hash"));
        assert_eq!(Node::read(&block), Some(Node { links: 1, size_of_links: 0, data: 0 }));
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let block = [vec![9 << 3, 5], vec![9 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0], vec![9 << 3 | 5, 0, 0, 0, 0]].concat();
        assert_eq!(Node::read(&[block, field(1, b"data")].concat()).unwrap().data, 4);
    }

    #[test]
    fn truncated_block_is_no_node() {
        let block = field(1, b"data");
        for length in 1..block.len() {
            assert_eq!(Node::read(&block[..length]), None, "{length}");
        }
        assert_eq!(Node::read(&[0xff; 11]), None);
        assert_eq!(Node::read(&[1 << 3 | 3]), None);
    }

    #[test]
    fn excessive_sizes_do_not_overflow() {
        let huge = [vec![3 << 3], vec![0xff; 9], vec![0x01]].concat();
        let block = [field(2, &huge), field(2, &huge)].concat();
        assert_eq!(Node::read(&block).unwrap().size_of_links, u64::MAX);
    }
}
