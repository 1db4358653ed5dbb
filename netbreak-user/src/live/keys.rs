//! What the bytes that a terminal sends are called. Pure.

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Home.
    First,
    /// End.
    Last,
    /// Enter.
    Enter,
    /// Esc.
    Escape,
    /// Backspace.
    Backspace,
    /// Ctrl-U, which clears a line.
    Clear,
    /// Anything that can be read.
    Letter(char),
}

const ESCAPE: u8 = 0x1b;

/// The keys that these bytes stand for; keys without a name here are left out. An escape at the very end is the key itself:
/// terminals send their sequences in one piece.
pub fn parse(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        match first {
            &ESCAPE => match rest {
                [b'[' | b'O', sequence @ ..] => {
                    let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte));
                    let end = end.map_or(sequence.len(), |last| last + 1);
                    keys.extend(named(&sequence[..end]));
                    bytes = &sequence[end..];
                }
                _ => keys.push(Key::Escape),
            },
            b'\r' | b'\n' => keys.push(Key::Enter),
            0x7f | 0x08 => keys.push(Key::Backspace),
            0x15 => keys.push(Key::Clear),
            0x00..0x20 => {}
            _ => {
                let all = [&[*first], rest].concat();
                let length = all.iter().position(|byte| *byte < 0x20 || *byte == 0x7f).unwrap_or(all.len());
                keys.extend(String::from_utf8_lossy(&all[..length]).chars().map(Key::Letter));
                bytes = &rest[length - 1..];
            }
        }
    }
    keys
}

/// Of what stands behind `ESC [` or `ESC O` (xterm's ctlseqs, "PC-Style Function Keys").
fn named(sequence: &[u8]) -> Option<Key> {
    match sequence {
        b"A" => Some(Key::Up),
        b"B" => Some(Key::Down),
        b"5~" => Some(Key::PageUp),
        b"6~" => Some(Key::PageDown),
        b"H" | b"1~" | b"7~" => Some(Key::First),
        b"F" | b"4~" | b"8~" => Some(Key::Last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        use Key::*;
        for (bytes, keys) in [
            (&b"sq"[..], vec![Letter('s'), Letter('q')]),
            (b"\x1b[A\x1bOB\x1b[5~\x1b[6~", vec![Up, Down, PageUp, PageDown]),
            (b"\x1b[H\x1b[4~", vec![First, Last]),
            (b"\x1b", vec![Escape]),
            (b"\x1bq", vec![Escape, Letter('q')]),
            // F5 and Ctrl-A have no name here.
            (b"\x1b[15~\x01x", vec![Letter('x')]),
            (b"/a\x7f\x15\r", vec![Letter('/'), Letter('a'), Backspace, Clear, Enter]),
            ("é\n".as_bytes(), vec![Letter('é'), Enter]),
            (b"\x1b[", vec![]),
        ] {
            assert_eq!(parse(bytes), keys, "{bytes:?}");
        }
    }
}
