//! One namespace of the lab: the process that holds it, and how to work inside it.

use std::fs;
use std::io::{self, Write};
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::netns::Namespace;

/// Waits for the end of its standard input, under the namespace's name. The other end of that pipe is ours and
/// closes with us, even by SIGKILL: so the namespace never outlives the lab.
const HOLDER: &str = r#"printf %s "$1" >/proc/$$/comm; read -r end"#;

/// A network namespace without a name on the machine, gone when this value is.
pub struct LabNamespace {
    holder: Child,
    namespace: Namespace,
    name: &'static str,
}

impl LabNamespace {
    /// Makes one. Needs CAP_SYS_ADMIN.
    pub fn new(name: &'static str) -> Result<LabNamespace> {
        let mut command = Command::new("sh");
        command
            .args(["-c", HOLDER, "sh", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: the closure runs between fork and exec and only makes one system call; CLONE_NEWNET affects no
        // memory or descriptor table of ours.
        unsafe { command.pre_exec(|| Ok(unshare_unsafe(UnshareFlags::NEWNET)?)) };
        let holder = command.spawn().with_context(|| {
            format!("cannot make the network namespace of the {name} (`sh` and CAP_SYS_ADMIN are needed)")
        })?;
        // spawn() returns after the exec, and so after unshare.
        match Namespace::open(format!("/proc/{}/ns/net", holder.id())) {
            Ok(namespace) => Ok(LabNamespace { holder, namespace, name }),
            Err(why) => {
                end(holder);
                Err(why.into())
            }
        }
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The process that holds it: `--netns pid:N`.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// What another process can open: `--netns PATH`.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }

    /// A command that will run in it.
    pub fn command(&self, argv: &[&str]) -> Result<Command> {
        let (program, arguments) = argv.split_first().context("no command was given")?;
        let mut command = Command::new(program);
        command.args(arguments);
        let inside: OwnedFd = self.namespace.as_fd().try_clone_to_owned()?;
        // SAFETY: the closure runs between fork and exec and only makes one system call on a descriptor that it owns.
        unsafe {
            command.pre_exec(move || {
                Ok(move_into_link_name_space(inside.as_fd(), Some(LinkNameSpaceType::Network))?)
            })
        };
        Ok(command)
    }

    /// Runs a command in it with `input` on its standard input, and waits. An exit status other than 0 is an error
    /// with what it wrote.
    pub fn exec(&self, argv: &[&str], input: &str) -> Result<Output> {
        let shown = || format!("`{}` in the {}", argv.join(" "), self.name);
        let mut command = self.command(argv)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", shown()))?;
        // A command that ends without reading its input says why by its exit status.
        let written = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input.as_bytes()));
        let output = child.wait_with_output().with_context(|| format!("cannot wait for {}", shown()))?;
        let said =
            || String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).trim().to_owned();
        ensure!(output.status.success(), "{} failed ({}): {}", shown(), output.status, said());
        written.with_context(|| format!("cannot write to {}", shown()))?;
        Ok(output)
    }

    /// Starts a program in it; it is killed when the guard is dropped.
    pub fn spawn(&self, argv: &[&str]) -> Result<Guard> {
        let child = self.command(argv)?.spawn();
        child.map(Guard).with_context(|| format!("cannot start `{}` in the {}", argv.join(" "), self.name))
    }

    /// Sets a value under `/proc/sys/net`, such as (`ipv4/ip_forward`, `0`).
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.sysctls(&[(key, value)])
    }

    /// Sets several. `/proc/sys/net` shows the namespace of the thread that opens it (`net_ctl_header_lookup` in
    /// net/sysctl_net.c).
    pub fn sysctls(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.namespace.run(|| {
            settings.iter().try_for_each(|(key, value)| {
                let file = format!("/proc/sys/net/{key}");
                fs::write(&file, value)
                    .map_err(|e| anyhow!("cannot write {value} to {file} in the {}: {e}", self.name))
            })
        })?
    }
}

impl Deref for LabNamespace {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

impl Drop for LabNamespace {
    fn drop(&mut self) {
        kill(&mut self.holder);
    }
}

/// A program of the lab; dropping it kills it and waits until it is gone.
pub struct Guard(Child);

impl Guard {
    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its exit status if it has ended.
    pub fn ended(&mut self) -> io::Result<Option<std::process::ExitStatus>> {
        self.0.try_wait()
    }
}

impl From<Child> for Guard {
    fn from(child: Child) -> Guard {
        Guard(child)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        kill(&mut self.0);
    }
}

fn end(mut child: Child) {
    kill(&mut child);
}

/// Both calls fail only for a child that is gone already.
fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
