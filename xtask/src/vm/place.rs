//! Where things of guests lie, below cargo's target directory.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::plan::Run;
use crate::workspace;

/// `target/vm`, which one task uses at a time.
pub struct Place {
    directory: PathBuf,
    /// Locked until it is closed.
    _lock: File,
}

impl Place {
    /// Waits until no other task uses it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn take() -> Result<Self> {
        let directory = workspace::target()?.join("vm");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let path = directory.join("lock");
        let context = || format!("cannot lock {}", path.display());
        let lock = File::create(&path).with_context(context)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another `cargo xtask vm` of this checkout");
                lock.lock().with_context(context)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        Ok(Self { directory, _lock: lock })
    }

    /// Kernels, which are fetched once.
    pub fn kernels(&self) -> PathBuf {
        self.directory.join("kernels")
    }

    /// Programs as guests get them.
    pub fn built(&self) -> PathBuf {
        self.directory.join("built")
    }

    /// First file systems, which are made for each task: hundreds of megabytes.
    pub fn initrds(&self) -> PathBuf {
        self.directory.join("initrd")
    }

    /// That of a kernel.
    pub fn initrd(&self, kernel: &str) -> PathBuf {
        self.initrds().join(kernel)
    }

    /// What comes out of a guest: `target/vm/out/6.12/boot/doctor`.
    pub fn out(&self, run: &Run) -> PathBuf {
        run.scenario
            .split("::")
            .fold(self.directory.join("out").join(run.kernel.name), |path, part| path.join(part))
    }

    /// `path` as a person in the workspace's root would type it.
    pub fn shown(path: &Path) -> String {
        path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string()
    }
}
