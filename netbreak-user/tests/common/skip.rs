//! Whether a test can run here: the one place that every test binary asks.

/// Says why a test cannot run here, if it cannot. With NETBREAK_REQUIRE=1 that is a failure.
pub fn skipped(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = |program: &&&str| std::env::split_paths(&path).any(|dir| dir.join(program).exists());
    let why = match programs.iter().find(|p| !installed(p)) {
        _ if !rustix::process::geteuid().is_root() => "not root".to_owned(),
        Some(program) => format!("`{program}` is not installed"),
        None => return false,
    };
    assert!(std::env::var_os("NETBREAK_REQUIRE").is_none_or(|v| v != "1"), "NETBREAK_REQUIRE=1, but {why}");
    println!("skipped: {why}");
    true
}
