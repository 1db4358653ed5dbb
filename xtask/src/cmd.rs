//! Commands that are shown before they run, and whose failure names what to type by hand.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// A command to run in the workspace's root; its `Display` is a line for a shell.
#[derive(Clone)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    /// Which variables of this process the command may see; they are not part of the shown line,
    /// because a person's shell has only those that pass anyway.
    inherits: fn(&str) -> bool,
}

impl Cmd {
    /// `program` is a path or a name that is looked up in PATH.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { program: program.as_ref().into(), args: Vec::new(), env: Vec::new(), inherits: |_| true }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Hands down only those variables of this process whose name passes `filter`.
    pub fn inherit_only(mut self, filter: fn(&str) -> bool) -> Self {
        self.inherits = filter;
        self
    }

    /// Shows the command, runs it and waits.
    ///
    /// # Errors
    /// When it cannot be started or does not succeed: the message has the whole line.
    pub fn run(&self) -> Result<()> {
        eprintln!("+ {self}");
        let status = self.command().status().with_context(|| format!("cannot start: {self}"))?;
        if !status.success() {
            bail!("{status}. To run it by hand, in {}:\n  {self}", workspace::root().display());
        }
        Ok(())
    }

    /// Runs a quick question without showing it: its standard output, or `None` when the program is absent
    /// or does not succeed.
    pub fn ask(&self) -> Option<String> {
        let output = self.command().stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Shows the command and becomes it.
    ///
    /// # Errors
    /// Only returns when the program cannot be started.
    pub fn exec(&self) -> Result<()> {
        eprintln!("+ {self}");
        let error = self.command().exec();
        Err(error).with_context(|| format!("cannot start: {self}"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let shown = name.to_string_lossy();
            if is_about_xtask(&shown) || !(self.inherits)(&shown) {
                command.env_remove(&name);
            }
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(workspace::root());
        command
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{}={} ", name.display(), quoted(value))?;
        }
        write!(f, "{}", quoted(&self.program))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// Whether cargo told only this program so. ring's build script asks for these variables too: under another cargo they
/// would have it, and all that depends on it, built anew after each build by hand.
fn is_about_xtask(name: &str) -> bool {
    ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| name.starts_with(prefix))
}

/// `word` as a shell must be given it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+.,:/@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let cmd = Cmd::new("cargo").env("RUSTFLAGS", "-Cdebuginfo=2 --cfg=arch=\"x\"").args([
            "test",
            "--package=a",
            "",
            "it's",
        ]);
        assert_eq!(
            cmd.to_string(),
            r#"RUSTFLAGS='-Cdebuginfo=2 --cfg=arch="x"' cargo test --package=a '' 'it'\''s'"#
        );
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = Cmd::new("false").args(["--really"]).run().unwrap_err().to_string();
        assert!(error.contains("exit status: 1") && error.contains("\n  false --really"), "{error}");
        let error = Cmd::new("/nowhere/xtask").run().unwrap_err().to_string();
        assert_eq!(error, "cannot start: /nowhere/xtask");
    }

    #[test]
    fn a_question_without_an_answer_is_none() {
        assert_eq!(Cmd::new("echo").args(["yes"]).ask().as_deref(), Some("yes\n"));
        assert_eq!(Cmd::new("false").ask(), None);
        assert_eq!(Cmd::new("/nowhere/xtask").ask(), None);
    }

    #[test]
    fn what_is_said_about_this_program_is_not_handed_down() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let all = Cmd::new("env").ask().unwrap();
        assert!(
            !all.contains("CARGO_MANIFEST_") && !all.contains("CARGO_PKG_") && all.contains("CARGO"),
            "{all}"
        );
    }

    #[test]
    fn only_variables_that_pass_are_inherited() {
        let all = Cmd::new("env").inherit_only(|name| name == "PATH").env("ONE", "1").ask().unwrap();
        let mut names: Vec<_> = all.lines().filter_map(|line| line.split_once('=')).map(|(n, _)| n).collect();
        names.sort_unstable();
        assert_eq!(names, ["ONE", "PATH"]);
    }
}
