//! Families of series, with as many of them as there is room for.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Names and values of the labels that are known.
type Labels = Vec<(&'static str, String)>;

/// What these labels say in the series for all others.
const OTHER: &str = "other";

/// Labels whose values come and go for ever: with pods, their devices and namespaces. All other labels have few values.
const ENDLESS: [&str; 5] = ["target", "address", "port", "device", "netns"];

/// Counters by labels. Beyond a number of series new ones are counted without what comes and goes, so that sums stay
/// exact, also those of an outcome or a cause.
pub(super) struct Counters {
    family: Family<Labels, Counter>,
    room: Room,
}

impl Counters {
    /// Named and explained, without series.
    pub(super) fn new(
        to: &mut Registry,
        (name, help): (&str, &str),
        names: &'static [&'static str],
        most: usize,
    ) -> Self {
        let family = Family::default();
        to.register(name, help, family.clone());
        Counters { family, room: Room { names, most, used: 0 } }
    }

    /// Adds to the series with these values of the labels, in the order of their names; `None` = it is not known.
    pub(super) fn add(&mut self, values: &[Option<&str>], count: u64) {
        let labels = self.room.labels(values, |labels| self.family.get(labels).is_some());
        self.family.get_or_create(&labels).inc_by(count);
    }
}

/// The same of seconds.
pub(super) struct Seconds {
    family: Family<Labels, Counter<f64, AtomicU64>>,
    room: Room,
}

impl Seconds {
    /// Named (without the unit) and explained, without series.
    pub(super) fn new(
        to: &mut Registry,
        (name, help): (&str, &str),
        names: &'static [&'static str],
        most: usize,
    ) -> Self {
        let family = Family::default();
        to.register_with_unit(name, help, Unit::Seconds, family.clone());
        Seconds { family, room: Room { names, most, used: 0 } }
    }

    /// As [`Counters::add`].
    pub(super) fn add(&mut self, values: &[Option<&str>], seconds: f64) {
        let labels = self.room.labels(values, |labels| self.family.get(labels).is_some());
        self.family.get_or_create(&labels).inc_by(seconds);
    }
}

/// How many series one metric may have.
struct Room {
    names: &'static [&'static str],
    most: usize,
    used: usize,
}

impl Room {
    /// The labels with these values, or those of all others if they are new and there is no room for more.
    fn labels(&mut self, values: &[Option<&str>], is_there: impl Fn(&Labels) -> bool) -> Labels {
        let known = self.names.iter().zip(values);
        let labels: Labels = known.filter_map(|(name, value)| Some((*name, (*value)?.to_owned()))).collect();
        if is_there(&labels) {
            return labels;
        }
        if self.used < self.most {
            self.used += 1;
            return labels;
        }
        let bounded = |(name, value)| (name, if ENDLESS.contains(&name) { OTHER.to_owned() } else { value });
        labels.into_iter().map(bounded).collect()
    }
}

/// Values of the last report, by labels.
pub(super) struct Gauges {
    family: Family<Labels, Gauge<f64, AtomicU64>>,
}

impl Gauges {
    /// Named and explained, without series.
    pub(super) fn new(to: &mut Registry, (name, help): (&str, &str)) -> Self {
        let family = Family::default();
        to.register(name, help, family.clone());
        Gauges { family }
    }

    /// The same of seconds; the name has no unit.
    pub(super) fn seconds(to: &mut Registry, (name, help): (&str, &str)) -> Self {
        let family = Family::default();
        to.register_with_unit(name, help, Unit::Seconds, family.clone());
        Gauges { family }
    }

    /// Forgets all of them.
    pub(super) fn clear(&self) {
        self.family.clear();
    }

    /// Sets one; a label without value is not known.
    pub(super) fn set(&self, labels: &[(&'static str, Option<&str>)], value: f64) {
        let known = labels.iter().filter_map(|(name, value)| Some((*name, (*value)?.to_owned())));
        self.family.get_or_create(&known.collect()).set(value);
    }
}
