//! Names of kernel functions by address, from /proc/kallsyms.

use std::{io, path::Path};

/// The functions of the running kernel, by address.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Ascending by address.
    functions: Vec<(u64, Box<str>)>,
}

impl Symbols {
    /// Reads /proc/kallsyms. Empty when `kernel.kptr_restrict` hides addresses (they all read 0).
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string(Path::new("/proc/kallsyms"))?))
    }

    /// From lines of `address type name [module]`.
    pub fn parse(text: &str) -> Self {
        let mut functions: Vec<(u64, Box<str>)> = text
            .lines()
            .filter_map(|line| {
                let (address, rest) = line.split_once(' ')?;
                let (kind, name) = rest.split_once(' ')?;
                matches!(kind, "t" | "T" | "w" | "W").then_some(())?;
                let address = u64::from_str_radix(address, 16).ok().filter(|address| *address != 0)?;
                // Compilers add suffixes to copies of a function; its name is what a person can look up. Bytes, not
                // characters: of over 100,000 lines, a test build would take half a second to split them.
                let end = name.bytes().position(|byte| matches!(byte, b'.' | b'$' | b'\t'));
                Some((address, name[..end.unwrap_or(name.len())].into()))
            })
            .collect();
        functions.sort_unstable_by_key(|(address, _)| *address);
        functions.dedup_by_key(|(address, _)| *address);
        Self { functions }
    }

    /// Nothing could be read?
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The function that contains `address`.
    pub fn resolve(&self, address: u64) -> Option<&str> {
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        let (_, name) = self.functions.get(after.checked_sub(1)?)?;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "ffffffff81000000 T _text\n\
        ffffffff81000100 t nft_do_chain.isra.0\t[nf_tables]\n\
        ffffffff81000200 D data_is_not_code\n\
        ffffffff81000300 T ip_rcv\n";

    #[test]
    fn finds_the_function_around_an_address() {
        let symbols = Symbols::parse(SAMPLE);
        assert_eq!(symbols.resolve(0xffff_ffff_8100_0150), Some("nft_do_chain"));
        assert_eq!(symbols.resolve(0xffff_ffff_8100_0250), Some("nft_do_chain"));
        assert_eq!(symbols.resolve(0xffff_ffff_8100_0300), Some("ip_rcv"));
        assert_eq!(symbols.resolve(0x1000), None);
    }

    #[test]
    fn hidden_addresses_are_no_symbols() {
        assert!(Symbols::parse("0000000000000000 T ip_rcv\n0000000000000000 T _text\n").is_empty());
    }
}
