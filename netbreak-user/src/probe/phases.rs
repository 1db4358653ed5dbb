//! How long the parts of a visit took: connect, TLS handshake, first byte of the answer.

use hdrhistogram::Histogram;

use crate::clock::Nanos;

use super::stats::Rtt;

/// Distributions of the parts, in microseconds, over the visits answered in time; `None` = not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phases {
    /// From the SYN to the connection.
    pub connect: Option<Rtt>,
    /// From there to the end of the TLS handshake.
    pub tls: Option<Rtt>,
    /// From there, where the request is sent, to the first byte of the response.
    pub first_byte: Option<Rtt>,
}

/// When the parts of one visit were over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    pub(super) connected: Option<Nanos>,
    pub(super) handshaken: Option<Nanos>,
    pub(super) first_byte: Option<Nanos>,
}

/// Collects the parts of many visits in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    connect: Times,
    tls: Times,
    first_byte: Times,
}

impl Stopwatch {
    /// Takes the marks of a visit that left at `sent`.
    pub(super) fn take(&mut self, sent: Nanos, marks: Marks) {
        let Some(connected) = marks.connected else { return };
        self.connect.record(connected.saturating_sub(sent));
        if let Some(at) = marks.handshaken {
            self.tls.record(at.saturating_sub(connected));
        }
        if let Some(at) = marks.first_byte {
            self.first_byte.record(at.saturating_sub(marks.handshaken.unwrap_or(connected)));
        }
    }

    /// What they come to.
    pub(super) fn read(&self) -> Phases {
        Phases { connect: self.connect.read(), tls: self.tls.read(), first_byte: self.first_byte.read() }
    }
}

/// Times in nanoseconds. The histogram grows with the largest: some 80 KiB for a second.
#[derive(Debug, Default)]
struct Times(Option<(Nanos, Nanos, Histogram<u32>)>);

impl Times {
    fn record(&mut self, time: Nanos) {
        if self.0.is_none() {
            // Three digits is a number that it takes.
            self.0 = Histogram::new(3).ok().map(|histogram| (time, time, histogram));
        }
        if let Some((min, max, histogram)) = &mut self.0 {
            (*min, *max) = (time.min(*min), time.max(*max));
            // It resizes itself: no value is too large.
            let _ = histogram.record(time);
        }
    }

    fn read(&self) -> Option<Rtt> {
        let (min, max, histogram) = self.0.as_ref()?;
        Some(Rtt::read(*min, *max, |q| histogram.value_at_quantile(q)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_begins_where_the_one_before_it_ended() {
        let mut watch = Stopwatch::default();
        assert_eq!(watch.read(), Phases::default());
        let marks = |connected, handshaken, first_byte| Marks { connected, handshaken, first_byte };
        watch.take(1_000, marks(Some(3_000), Some(9_000), Some(10_000)));
        watch.take(1_000, marks(Some(3_000), None, Some(8_000)));
        watch.take(1_000, marks(None, None, None));
        let phases = watch.read();
        let ends = |part: Option<Rtt>| part.map(|part| (part.min, part.max));
        assert_eq!(ends(phases.connect), Some((2.0, 2.0)));
        assert_eq!(ends(phases.tls), Some((6.0, 6.0)));
        assert_eq!(ends(phases.first_byte), Some((1.0, 5.0)));
    }

    #[test]
    fn a_minute_fits() {
        let mut times = Times::default();
        times.record(60_000_000_000);
        assert_eq!(times.read().map(|read| (read.p50, read.max)), Some((60e6, 60e6)));
    }
}
