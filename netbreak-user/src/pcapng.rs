//! Files of packets for Wireshark and tshark: pcapng, as draft-ietf-opsawg-pcapng has it. Pure: packets in, bytes out.

/// LINKTYPE_RAW: a packet begins with its IP header.
const RAW: u16 = 101;
/// Section header, interface description, enhanced packet.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

/// Options of any block, and of some.
const END: u16 = 0;
const COMMENT: u16 = 1;
const SECTION_PROGRAM: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_DESCRIPTION: u16 = 3;
const INTERFACE_RESOLUTION: u16 = 9;
/// 10 to the power of minus that: times in nanoseconds.
const NANOSECONDS: u8 = 9;

/// A packet of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Nanoseconds since 1970, UTC.
    pub wall: u64,
    /// Where it was.
    pub interface: Interface,
    /// From its IP header on; maybe not all of it.
    pub bytes: Vec<u8>,
    /// How long it was, from there on.
    pub length: u32,
    /// What there is to say of it.
    pub comment: String,
}

/// What stands for a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// Name of the device.
    pub name: String,
    /// Where it is.
    pub description: String,
}

/// A file of these packets, in their order. `comment` is about all of them, `most` how many bytes any of them has at most.
pub fn render(comment: &str, most: u32, packets: &[Packet]) -> Vec<u8> {
    let mut interfaces: Vec<&Interface> = packets.iter().map(|packet| &packet.interface).collect();
    interfaces.sort();
    interfaces.dedup();
    let mut file = section(comment);
    interfaces.iter().for_each(|it| file.extend(interface(it, most)));
    for it in packets {
        let number = interfaces.binary_search(&&it.interface).unwrap_or_default();
        file.extend(packet(it, number as u32));
    }
    file
}

fn section(comment: &str) -> Vec<u8> {
    let mut body = 0x1a2b_3c4d_u32.to_ne_bytes().to_vec();
    body.extend([1_u16, 0].map(u16::to_ne_bytes).concat());
    // Nothing tells how long the section is.
    body.extend(u64::MAX.to_ne_bytes());
    option(&mut body, COMMENT, comment.as_bytes());
    option(&mut body, SECTION_PROGRAM, concat!("netbreak ", env!("CARGO_PKG_VERSION")).as_bytes());
    option(&mut body, END, &[]);
    block(SECTION, body)
}

fn interface(of: &Interface, most: u32) -> Vec<u8> {
    let mut body = [RAW, 0].map(u16::to_ne_bytes).concat();
    body.extend(most.to_ne_bytes());
    option(&mut body, INTERFACE_NAME, of.name.as_bytes());
    option(&mut body, INTERFACE_DESCRIPTION, of.description.as_bytes());
    option(&mut body, INTERFACE_RESOLUTION, &[NANOSECONDS]);
    option(&mut body, END, &[]);
    block(INTERFACE, body)
}

fn packet(of: &Packet, interface: u32) -> Vec<u8> {
    let (high, low) = ((of.wall >> 32) as u32, of.wall as u32);
    let sizes = [interface, high, low, of.bytes.len() as u32, of.length];
    let mut body = sizes.map(u32::to_ne_bytes).concat();
    body.extend(&of.bytes);
    pad(&mut body);
    option(&mut body, COMMENT, of.comment.as_bytes());
    option(&mut body, END, &[]);
    block(PACKET, body)
}

/// An option's value has at most 65,535 bytes: what is longer is cut.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(u16::MAX.into())];
    body.extend([code, value.len() as u16].map(u16::to_ne_bytes).concat());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Its length stands before and behind it.
fn block(kind: u32, body: Vec<u8>) -> Vec<u8> {
    let length = (body.len() as u32 + 12).to_ne_bytes();
    [kind.to_ne_bytes().as_slice(), &length, &body, &length].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type and body of each block.
    fn blocks(mut file: &[u8]) -> Vec<(u32, &[u8])> {
        let number = |bytes: &[u8]| u32::from_ne_bytes(bytes[..4].try_into().unwrap());
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let length = number(&file[4..]) as usize;
            assert_eq!(number(&file[length - 4..]) as usize, length, "the length behind the block");
            assert_eq!(length % 4, 0);
            blocks.push((number(file), &file[8..length - 4]));
            file = &file[length..];
        }
        blocks
    }

    #[test]
    fn a_file_has_each_interface_once_before_its_packets() {
        let packet = |name: &str, byte: u8| Packet {
            wall: 0x1234_5678_9abc_def0,
            interface: Interface { name: name.to_owned(), description: "in r".to_owned() },
            bytes: vec![byte; 5],
            length: 84,
            comment: "lost".to_owned(),
        };
        let file = render("two of two", 128, &[packet("b", 1), packet("a", 2), packet("b", 3)]);
        let blocks = blocks(&file);
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE, PACKET, PACKET, PACKET]);
        let interfaces: Vec<u8> = blocks[3..].iter().map(|(_, body)| body[0]).collect();
        assert_eq!(interfaces, [1, 0, 1]);

        let (_, body) = blocks[3];
        let numbers = [1_u32, 0x1234_5678, 0x9abc_def0, 5, 84].map(u32::to_ne_bytes).concat();
        let comment = [1_u16, 4].map(u16::to_ne_bytes).concat();
        let expected = [&numbers, &[1; 5][..], &[0; 3], &comment, b"lost", &[0; 4]].concat();
        assert_eq!(body, expected);
    }

    #[test]
    fn a_file_may_have_no_packet() {
        let file = render("none", 128, &[]);
        assert_eq!(blocks(&file).len(), 1);
    }
}
