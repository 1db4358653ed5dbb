//! How a probe fares while it runs: enough to say since when all is quiet.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Nanos;

/// How a probe fares. Times are when attempts left (a stream's: when they were planned).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulse {
    /// What has become of every attempt that left until then is known; `None` = of none yet.
    pub settled: Option<Nanos>,
    /// The last of them that was not answered in time; `None` = all were.
    pub troubled: Option<Nanos>,
}

/// A [`Pulse`] that one thread writes and others read. 0 is none: CLOCK_MONOTONIC was 0 when the machine started.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    settled: AtomicU64,
    troubled: AtomicU64,
}

impl Gauge {
    /// What became of the next attempt, in order: it left at `at`.
    pub(super) fn settled(&self, at: Nanos, answered: bool) {
        if !answered {
            self.troubled.store(at, Ordering::Relaxed);
        }
        // Whoever sees this sees the trouble until then, too.
        self.settled.store(at, Ordering::Release);
    }

    pub(super) fn read(&self) -> Pulse {
        let known = |at: Nanos| (at > 0).then_some(at);
        let settled = known(self.settled.load(Ordering::Acquire));
        Pulse { settled, troubled: known(self.troubled.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trouble_stays_and_what_is_settled_goes_on() {
        let gauge = Gauge::default();
        assert_eq!(gauge.read(), Pulse::default());
        for (at, answered) in [(10, true), (20, false), (30, true)] {
            gauge.settled(at, answered);
        }
        assert_eq!(gauge.read(), Pulse { settled: Some(30), troubled: Some(20) });
    }
}
