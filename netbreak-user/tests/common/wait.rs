//! Waiting for something to become true: the one place where a test does.

use std::time::{Duration, Instant};

/// Polls until `condition` holds, and fails when it does not within `patience`.
pub fn wait_until(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
