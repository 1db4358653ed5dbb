//! How many OpenFlow flows `br-int` of each node has, over time.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use netbreak_user::clock::{self, Nanos, SECOND};
use netbreak_user::demo::cluster::Stage;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What was seen: when, on which node, how many flows; none if nobody answered.
#[derive(Default)]
pub(super) struct Samples(Vec<(Nanos, usize, Option<u64>)>);

/// Looks again and again.
pub(super) struct Sampler {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Samples>,
}

impl Sampler {
    pub(super) fn start(stage: &Stage) -> Sampler {
        let sockets = stage.with(|cluster| {
            let [node1, node2, _] = cluster.directories();
            [node1, node2].map(|directory| directory.join("br-int.mgmt"))
        });
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut samples = Samples::default();
            while !is_over.load(Ordering::Relaxed) {
                for (node, socket) in sockets.iter().enumerate() {
                    let flows = flows(socket);
                    samples.0.push((clock::now(), node + 1, flows));
                }
                sleep(PAUSE);
            }
            samples
        });
        Sampler { over, thread }
    }

    pub(super) fn stop(self) -> Samples {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn flows(socket: &PathBuf) -> Option<u64> {
    let bridge = format!("unix:{}", socket.display());
    let said =
        Command::new("ovs-ofctl").args(["-T", "1", "-O", "OpenFlow15", "dump-aggregate", &bridge]).output();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    said.split_once("flow_count=")?.1.split_whitespace().next()?.parse().ok()
}

impl Samples {
    /// For each node: how long nobody answered, and how long the tables had next to nothing, in seconds.
    pub(super) fn seconds(&self) -> [(f64, f64); 2] {
        [1, 2].map(|node| {
            let of_node = Vec::from_iter(self.0.iter().filter(|(_, of, _)| *of == node));
            let most = of_node.iter().filter_map(|(.., flows)| *flows).max().unwrap_or(0);
            let sum = |is_it: &dyn Fn(Option<u64>) -> bool| {
                let pairs = of_node.windows(2).filter(|pair| is_it(pair[0].2));
                pairs.map(|pair| pair[1].0 - pair[0].0).sum::<Nanos>() as f64 / SECOND as f64
            };
            (sum(&|flows| flows.is_none()), sum(&|flows| flows.is_some_and(|flows| flows * 2 < most)))
        })
    }

    /// In words.
    pub(super) fn emptiness(&self) -> String {
        let node = |(away, empty): (f64, f64)| format!("away {away:.2} s, less than half full {empty:.2} s");
        self.seconds().map(node).join("; ")
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let start = self.0.first().map_or(0, |sample| sample.0);
        for (at, node, flows) in &self.0 {
            let flows = flows.map_or_else(|| "no answer".to_owned(), |flows| flows.to_string());
            writeln!(f, "{:.3} node{node} {flows}", (at - start) as f64 / SECOND as f64)?;
        }
        Ok(())
    }
}
