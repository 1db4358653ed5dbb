//! The run directory of the lab's daemons.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Waits for the end of its standard input, which closes with us, even by SIGKILL, and removes the directory. Daemons
/// are killed at the same moment and may still be writing: hence more than one try.
const HOLDER: &str =
    r#"read -r end; for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" && break; sleep 0.1; done"#;

/// Labs that one process may have at once.
const MOST: u32 = 10_000;

/// A directory that only root may enter, gone when this value is.
pub(super) struct Directory {
    path: PathBuf,
    holder: Child,
}

impl Directory {
    pub(super) fn new() -> Result<Directory> {
        let path = make()?;
        let holder = Command::new("sh")
            .args(["-c", HOLDER, "sh"])
            .arg(&path)
            // Ctrl-C is for us.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match holder {
            Ok(holder) => Ok(Directory { path, holder }),
            Err(error) => {
                // It is empty, and the other error matters more.
                let _ = std::fs::remove_dir(&path);
                Err(error).context("cannot start `sh`, which removes the run directory of the lab")
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // It fails only for a child that is gone already.
        let _ = self.holder.wait();
    }
}

/// A short name: the path of a socket has at most 107 bytes (`sun_path` of `struct sockaddr_un`).
fn make() -> Result<PathBuf> {
    let parent = std::env::temp_dir();
    for number in 0..MOST {
        let path = parent.join(format!("netbreak-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot make the run directory {} of the lab", path.display()));
            }
        }
    }
    bail!("{} has {MOST} run directories of this process already: remove netbreak-*", parent.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_apart_and_both_go() {
        let (one, other) = (Directory::new().unwrap(), Directory::new().unwrap());
        let paths = [one.path().to_owned(), other.path().to_owned()];
        assert_ne!(paths[0], paths[1]);
        std::fs::write(paths[0].join("socket"), "").unwrap();
        assert!(paths.iter().all(|path| path.is_dir()));
        drop((one, other));
        assert!(!paths.iter().any(|path| path.exists()));
    }
}
