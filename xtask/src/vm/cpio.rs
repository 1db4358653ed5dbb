//! Archives that the kernel unpacks into its first file system: cpio in the format "newc", as
//! Documentation/driver-api/early-userspace/buffer-format.rst describes it. Several of them behind each other are one.

use std::collections::BTreeSet;
use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive that is being written. Directories of what is added come by themselves. Everything belongs to root and
/// may be read and executed by all.
pub struct Archive<W> {
    out: W,
    inode: u32,
    names: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An archive without anything.
    pub fn new(out: W) -> Self {
        Self { out, inode: 0, names: BTreeSet::new() }
    }

    /// Whether something is called `path`, an absolute one.
    pub fn has(&self, path: &str) -> bool {
        self.names.contains(path)
    }

    /// Adds a directory and those above it, unless they are there.
    ///
    /// # Errors
    /// When writing fails.
    pub fn directory(&mut self, path: &str) -> io::Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|end| *end > 0) {
            if self.names.insert(path[..end].to_owned()) {
                self.entry(&path[..end], DIRECTORY, &[])?;
            }
        }
        Ok(())
    }

    /// Adds a file at an absolute path.
    ///
    /// # Errors
    /// When writing fails.
    pub fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.named(path, PROGRAM, bytes)
    }

    /// Adds a symbolic link at an absolute path.
    ///
    /// # Errors
    /// When writing fails.
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.named(path, LINK, target.as_bytes())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry("/TRAILER!!!", 0, &[])?;
        Ok(self.out)
    }

    fn named(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent)?;
        }
        self.names.insert(path.to_owned());
        self.entry(path, mode, bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        const HEADER: usize = 110;
        let size = u32::try_from(bytes.len()).map_err(|_| {
            io::Error::other(format!("{path} is too large for an archive of the format newc"))
        })?;
        let name = path.trim_start_matches('/');
        self.inode += 1;
        write!(self.out, "070701{:08x}{mode:08x}", self.inode)?;
        let (owner, group, links, time) = (0, 0, 1, 0);
        write!(self.out, "{owner:08x}{group:08x}{links:08x}{time:08x}{size:08x}")?;
        let (devices, checksum) = ("0".repeat(4 * 8), 0);
        write!(self.out, "{devices}{:08x}{checksum:08x}{name}", name.len() + 1)?;
        // The name ends in at least one zero.
        self.out.write_all(&[0; 4][..4 - (HEADER + name.len()) % 4])?;
        self.out.write_all(bytes)?;
        self.out.write_all(&[0; 3][..(4 - bytes.len() % 4) % 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode and content of every entry, as the kernel reads them (init/initramfs.c: every part begins at a multiple
    /// of four bytes).
    fn read(mut archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while let Some((header, rest)) = archive.split_at_checked(110) {
            assert!(header.starts_with(b"070701"));
            let field = |n: usize| {
                let digits = std::str::from_utf8(&header[6 + 8 * n..][..8]).unwrap();
                usize::from_str_radix(digits, 16).unwrap()
            };
            let (size, name_size) = (field(6), field(11));
            let (name, padding) = rest[..(110 + name_size).next_multiple_of(4) - 110].split_at(name_size - 1);
            assert!(padding.iter().all(|byte| *byte == 0));
            let content = &rest[name.len() + padding.len()..];
            let name = String::from_utf8(name.to_vec()).unwrap();
            entries.push((name, u32::try_from(field(1)).unwrap(), content[..size].to_vec()));
            archive = &content[size.next_multiple_of(4)..];
        }
        assert!(archive.is_empty());
        entries
    }

    #[test]
    fn directories_come_once_and_before_what_is_in_them() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/usr/bin/four", b"1234").unwrap();
        archive.file("/usr/bin/fives", b"12345").unwrap();
        archive.link("/init", "usr/bin/four").unwrap();
        archive.directory("/usr/lib").unwrap();
        assert!(archive.has("/usr/bin") && archive.has("/init") && !archive.has("/lib"));
        let entries = read(&archive.finish().unwrap());
        let entry = |name: &str, mode, content: &[u8]| (name.to_owned(), mode, content.to_owned());
        assert_eq!(
            entries,
            [
                entry("usr", 0o040755, b""),
                entry("usr/bin", 0o040755, b""),
                entry("usr/bin/four", 0o100755, b"1234"),
                entry("usr/bin/fives", 0o100755, b"12345"),
                entry("init", 0o120777, b"usr/bin/four"),
                entry("usr/lib", 0o040755, b""),
                entry("TRAILER!!!", 0, b""),
            ]
        );
    }
}
