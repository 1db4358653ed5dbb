//! Standard output that may close before we are done: `netbreak run … | head` is a success.

use std::io::{self, Write};

/// Writes `text` to standard output and flushes it. A closed pipe is success.
///
/// # Errors
/// Any other failure, such as a full disk.
pub fn write_stdout(text: &str) -> io::Result<()> {
    write_to(&mut io::stdout().lock(), text)
}

fn write_to(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_success() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        assert!(writer.write_all(b"x").is_err());
        assert!(write_to(&mut writer, "text").is_ok());
    }

    #[test]
    fn a_full_disk_is_not() {
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(write_to(&mut full, "text").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
