//! Tasks of netbreak's developers and users: `cargo xtask --help`.
fn main() {}
