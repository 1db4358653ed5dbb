//! The kernels that guests run: which there are, and which of Debian's packages each of them is.

/// A kernel by the name that is typed for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What is typed and shown.
    pub name: &'static str,
    /// The Debian suite that has it.
    pub suite: &'static str,
    /// How its version begins; nothing is the newest of all.
    pub series: &'static str,
}

const fn kernel(name: &'static str, suite: &'static str, series: &'static str) -> Kernel {
    Kernel { name, suite, series }
}

/// Oldest first. Debian replaces the packages behind them now and then: the newest of a series is taken.
pub const KERNELS: [Kernel; 5] = [
    kernel("5.10", "bullseye", "5.10"),
    kernel("6.1", "bookworm", "6.1"),
    kernel("6.12", "bookworm-security", "6.12"),
    kernel("6.18", "trixie-backports", "6.18"),
    kernel("newest", "trixie-backports", ""),
];

/// The kernel called `name`.
pub fn find(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.name == name)
}

/// The newest version of `series` among the names of packages, one a line: `6.12.117+deb12-cloud-amd64` of
/// `linux-image-6.12.117+deb12-cloud-amd64`. Kernels for clouds: small, and with the drivers of a virtual machine.
pub fn newest_version<'a>(packages: &'a str, series: &str) -> Option<&'a str> {
    let versions = packages.lines().filter_map(|name| name.trim().strip_prefix("linux-image-"));
    versions.filter(|version| is_of(version, series)).max_by_key(|version| numbers(version))
}

fn is_of(version: &str, series: &str) -> bool {
    let Some(number) = version.strip_suffix("-cloud-amd64") else { return false };
    // `linux-image-cloud-amd64` is no kernel: it depends on one. Nor is a candidate for release a kernel that anybody runs.
    let is_number = number.starts_with(|c: char| c.is_ascii_digit()) && !number.contains("rc");
    let rest = number.strip_prefix(series);
    is_number && rest.is_some_and(|rest| series.is_empty() || rest.starts_with(['.', '-', '+']))
}

/// The numbers of a version, in order: 6.1.0-50 is newer than 6.1.0-9.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = "linux-image-cloud-amd64\nlinux-image-6.1.0-9-cloud-amd64\nlinux-image-6.1.0-50-amd64\n\
        linux-image-6.1.0-50-cloud-amd64\nlinux-image-6.12.117+deb12-cloud-amd64\nlinux-image-6.12.117+deb12-cloud-amd64-dbg\n\
        linux-image-6.12.9+deb12-cloud-amd64\nlinux-image-6.18.15+deb13-cloud-amd64-unsigned\nlinux-image-7.3~rc2-cloud-amd64\n\
        linux-image-5.10.0-32-rt-amd64\n";

    #[test]
    fn the_newest_of_a_series_is_taken() {
        assert_eq!(newest_version(PACKAGES, "6.1"), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(newest_version(PACKAGES, "6.12"), Some("6.12.117+deb12-cloud-amd64"));
        assert_eq!(newest_version(PACKAGES, ""), Some("6.12.117+deb12-cloud-amd64"));
    }

    #[test]
    fn other_flavours_are_not() {
        assert_eq!(newest_version(PACKAGES, "6.18"), None);
        assert_eq!(newest_version(PACKAGES, "5.10"), None);
    }

    #[test]
    fn names_are_exact() {
        assert_eq!(find("6.1").map(|kernel| kernel.suite), Some("bookworm"));
        assert_eq!(find("6"), None);
    }
}
