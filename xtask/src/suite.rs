//! apt with a suite of Debian's that this machine's own apt may not know: sources and lists are in a directory of their
//! own, and nothing of the machine's apt is changed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cmd::Cmd;

/// The suite, its lists of packages fetched.
pub struct Suite {
    name: String,
    mirror: String,
    options: Vec<String>,
}

impl Suite {
    /// The suite and nothing else, on a machine where nothing is installed: for what is downloaded only.
    ///
    /// # Errors
    /// When its lists cannot be fetched or written.
    pub fn alone(name: &str, directory: &Path) -> Result<Self> {
        let nothing_else = ["Dir::Etc::SourceParts=-", "Dir::State::status=/dev/null"];
        let mirror = mirror(name, &own_sources());
        Self::fetched(name, directory, mirror.clone(), &line(&mirror, name), &nothing_else)
    }

    /// The suite beside those that this machine installs from. apt prefers them, but where it is told otherwise.
    ///
    /// # Errors
    /// As [`Suite::alone`].
    pub fn beside_own(name: &str, directory: &Path) -> Result<Self> {
        let sources = own_sources();
        let mirror = mirror(name, &sources);
        let mut list = fs::read_to_string(OWN_LIST).unwrap_or_default();
        // apt refuses a suite that is named twice with two keys.
        if !sources.contains(name) {
            list.push_str(&format!("\n{}", line(&mirror, name)));
        }
        Self::fetched(name, directory, mirror, &list, &[])
    }

    fn fetched(
        name: &str,
        directory: &Path,
        mirror: String,
        sources: &str,
        options: &[&str],
    ) -> Result<Self> {
        let lists = directory.join(name);
        let list = directory.join(format!("{name}.list"));
        fs::create_dir_all(lists.join("partial"))
            .with_context(|| format!("cannot make {}", lists.display()))?;
        fs::write(&list, sources).with_context(|| format!("cannot write {}", list.display()))?;
        let own_place = [
            format!("Dir::Etc::SourceList={}", list.display()),
            format!("Dir::State::Lists={}", lists.display()),
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // The user _apt cannot write below a home directory.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let options = own_place.into_iter().chain(options.iter().map(|option| (*option).to_owned()));
        let options = options.flat_map(|option| ["-o".to_owned(), option]).collect();
        let suite = Self { name: name.to_owned(), mirror, options };
        suite.command("apt-get").args(["-qq", "update"]).run()?;
        Ok(suite)
    }

    /// Where its packages come from.
    pub fn mirror(&self) -> &str {
        &self.mirror
    }

    /// One of apt's programs, which sees the suite.
    pub fn command(&self, program: &str) -> Cmd {
        Cmd::new(program).args(&self.options)
    }

    /// apt-get, which prefers the suite to all others.
    pub fn preferring(&self) -> Cmd {
        self.command("apt-get").args(["-t", &self.name])
    }

    /// # Errors
    /// When a package cannot be downloaded.
    pub fn download(&self, packages: &[String], to: &Path) -> Result<()> {
        // apt-get downloads into its working directory.
        let change = format!("--chdir={}", to.display());
        Cmd::new("env")
            .args([&change, "apt-get"])
            .args(&self.options)
            .args(["-qq", "download"])
            .args(packages)
            .run()
    }
}

/// Where apt is configured in its older way; the newer one is a directory beside it.
const OWN_LIST: &str = "/etc/apt/sources.list";

/// The line of the suite in a list of sources.
fn line(mirror: &str, suite: &str) -> String {
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    format!("deb [arch=amd64 signed-by={keyring}] {mirror} {suite} main\n")
}

/// What apt is configured with on this machine, in both of its formats.
fn own_sources() -> String {
    let parts =
        fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let files = parts.filter(|path| path.extension().is_some_and(|e| e == "sources" || e == "list"));
    files.chain([OWN_LIST.into()]).filter_map(|file| fs::read_to_string(file).ok()).collect()
}

/// The mirror that `sources` name, so that a machine goes on using its own; else Debian's.
fn mirror(suite: &str, sources: &str) -> String {
    let lines = sources.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words: Vec<_> =
        lines.flat_map(str::split_whitespace).map(|word| word.trim_end_matches('/')).collect();
    let named = |end: &str| words.iter().find(|word| word.contains("://") && word.ends_with(end));
    let main = named("/debian").map_or("https://deb.debian.org/debian", |word| word);
    if suite.ends_with("-security") {
        named("/debian-security").map_or_else(|| format!("{main}-security"), |word| (*word).to_owned())
    } else {
        main.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# http://snapshot.debian.org/archive/debian/1\nURIs: http://mirror.example/debian/\n\
        Suites: bookworm\n\nURIs: http://mirror.example/sec/debian-security\nSuites: bookworm-security\n";

    #[test]
    fn the_machines_own_mirror_is_used() {
        assert_eq!(mirror("bullseye", DEB822), "http://mirror.example/debian");
        assert_eq!(mirror("bookworm-security", DEB822), "http://mirror.example/sec/debian-security");
        let lines = "deb https://deb.nodesource.com/node_20.x nodistro main\ndeb [arch=amd64] ftp://m/debian sid main\n";
        assert_eq!(mirror("bookworm", lines), "ftp://m/debian");
        assert_eq!(mirror("bookworm-security", lines), "ftp://m/debian-security");
    }

    #[test]
    fn without_one_it_is_debians() {
        assert_eq!(mirror("bookworm", "# deb http://m/debian sid main\n"), "https://deb.debian.org/debian");
        assert_eq!(mirror("bookworm-security", ""), "https://deb.debian.org/debian-security");
    }
}
