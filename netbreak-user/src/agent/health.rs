//! Do windows end as they should?

use crate::clock::{Nanos, SECOND};

/// A window that has not ended so long after it should have will not end by itself: names may take a while to resolve,
/// and a busy machine to start it.
const PATIENCE: Nanos = 60 * SECOND;

/// What became of the last window, and when this one should end.
#[derive(Default)]
pub(super) struct Health {
    failed: Option<String>,
    due: Option<Nanos>,
}

impl Health {
    /// A window began that takes at most `takes`.
    pub(super) fn began(&mut self, now: Nanos, takes: Nanos) {
        self.due = Some(now.saturating_add(takes).saturating_add(PATIENCE));
    }

    /// It ended, or it could not be measured: why.
    pub(super) fn ended(&mut self, failed: Option<String>) {
        *self = Health { failed, due: None };
    }

    /// Why windows do not end as they should, in one line; `None` while they do.
    pub(super) fn trouble(&self, now: Nanos) -> Option<String> {
        match (self.due, &self.failed) {
            (Some(due), _) if now > due => {
                let late_s = (now - due + PATIENCE) / SECOND;
                Some(format!("the window should have ended {late_s} s ago"))
            }
            (_, Some(why)) => {
                Some(format!("the last window could not be measured: {}", why.replace('\n', " ")))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_fail_or_do_not_end_are_trouble() {
        let mut health = Health::default();
        assert_eq!(health.trouble(5), None);
        health.began(0, 10 * SECOND);
        assert_eq!(health.trouble(10 * SECOND + PATIENCE), None);
        let late = health.trouble(11 * SECOND + PATIENCE).unwrap();
        assert_eq!(late, "the window should have ended 61 s ago");
        health.ended(Some("no room\nfor maps".to_owned()));
        let failed = "the last window could not be measured: no room for maps";
        assert_eq!(health.trouble(SECOND).as_deref(), Some(failed));
        // Until one has ended as it should.
        health.began(0, SECOND);
        assert_eq!(health.trouble(SECOND).as_deref(), Some(failed));
        health.ended(None);
        assert_eq!(health.trouble(SECOND), None);
    }
}
