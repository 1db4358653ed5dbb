//! Instances of tracefs, of which killed tests leave none behind for long.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// What the names of instances begin with.
const PREFIX: &str = "netbreak-witness-";

/// Instances made so far.
static INSTANCES: AtomicU32 = AtomicU32::new(0);

/// An instance of its own. Dropping it removes it. With a killed process goes no instance, only the lock on it: by that
/// the next one finds and removes it.
pub struct Instance {
    /// Where its files are, for this process.
    pub directory: PathBuf,
    /// A mount that has no place in the file system: it goes with its descriptor, however the process ends.
    _tracefs: OwnedFd,
    /// The directory, locked.
    _lock: File,
}

impl Instance {
    /// # Errors
    /// When tracefs cannot be mounted, or makes no instance.
    pub fn new() -> io::Result<Instance> {
        let tracefs = mount()?;
        let instances = PathBuf::from(format!("/proc/self/fd/{}/instances", tracefs.as_raw_fd()));
        // One at a time, or another one would find this one's directory before its lock.
        let all = File::open(&instances)?;
        all.lock()?;
        for entry in fs::read_dir(&instances)? {
            let path = entry?.path();
            if is_left_behind(&path) {
                // One whose files somebody reads stays.
                let _ = fs::remove_dir(path);
            }
        }
        let number = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let directory = instances.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&directory)?;
        let lock = File::open(&directory)?;
        lock.lock()?;
        Ok(Instance { directory, _tracefs: tracefs, _lock: lock })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.directory) {
            eprintln!("left behind: {} ({error})", self.directory.display());
        }
    }
}

/// Has the process gone that made it?
fn is_left_behind(instance: &Path) -> bool {
    let name = instance.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(PREFIX) && File::open(instance).is_ok_and(|directory| directory.try_lock().is_ok())
}

fn mount() -> io::Result<OwnedFd> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}
