//! What is said of attempts by several nodes, and of the nodes.

use crate::report::{Death, Leg, Node, sightings::left_alive};

/// Of attempts that `node` saw last, of a run of `host`; `missed_by` are those that they did not reach afterwards.
pub fn told(death: &Death, node: &str, host: &str, missed_by: &[&str]) -> String {
    if !left_alive(death) {
        return format!("on {node}: {}", death.explain);
    }
    let through = through(death);
    match (death.leg, missed_by) {
        (Leg::Reply, _) => {
            format!(
                "their replies left {node}{through} alive and were not seen on {host}: look between the two"
            )
        }
        (_, []) => {
            format!("they left {node}{through} alive, and nothing came back: look at the next hop from there")
        }
        (_, missed_by) => format!(
            "they left {node}{through} alive and did not reach {}: look between the two",
            missed_by.join(", nor ")
        ),
    }
}

/// Of attempts that no node saw. `death` is what the report of `host` has of them.
pub fn not_reached(death: Option<&Death>, host: &str, nodes: &[&str]) -> String {
    let nodes = nodes.join(", nor ");
    match death {
        Some(death) if left_alive(death) => {
            format!(
                "they left {host}{} alive and did not reach {nodes}: look between the two",
                through(death)
            )
        }
        Some(death) => format!("{}; they did not reach {nodes}", death.explain),
        None => format!(
            "they did not reach {nodes}, which saw others of this probe: look on {host} and between the two"
        ),
    }
}

fn through(death: &Death) -> String {
    let device = death.device.as_ref().map(|device| format!(" through {device}")).unwrap_or_default();
    let netns = death.netns_name.as_ref().map(|netns| format!(" in {netns}")).unwrap_or_default();
    device + &netns
}

impl Node {
    /// What it added, in one sentence.
    pub fn sentence(&self) -> String {
        let Node { seen, unplaced, died, passed, not_reached, .. } = self;
        if [seen, unplaced, died, passed, not_reached].into_iter().all(|attempts| *attempts == 0) {
            return format!(
                "{} saw no attempt of this run: it tells nothing of where any of them died",
                self.host
            );
        }
        let told = match unplaced {
            0 => "no lost attempt of theirs was without a place of death".to_owned(),
            _ => format!(
                "of the {unplaced} lost ones that had no place of death {died} died there, {passed} left it alive, \
                 {not_reached} did not reach it"
            ),
        };
        let lost = match self.losses.ledger + self.losses.ring_full {
            0 => String::new(),
            lost => format!("; {lost} more that it saw were lost before they were read"),
        };
        format!("{} saw {seen} attempts; {told}{lost}; {}", self.host, self.clock())
    }

    fn clock(&self) -> String {
        let Some((offset, uncertainty)) = self.offset_s.zip(self.uncertainty_s) else {
            return "nothing tells how its clock goes".to_owned();
        };
        let way = if offset < 0.0 { "behind" } else { "ahead" };
        format!(
            "its clock is {:.6} s {way}, to within {:.0} µs, by {} answered attempts",
            offset.abs(),
            (uncertainty * 1e6).ceil(),
            self.matched
        )
    }
}
