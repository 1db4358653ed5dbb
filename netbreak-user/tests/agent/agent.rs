//! The `netbreak agent` process, in a namespace of a lab.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use netbreak_user::lab::Role;
use netbreak_user::netns::Namespace;
use netbreak_user::report::{Report, json};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{PATIENCE, Served, wait_until};
use crate::http::Answer;
use crate::metrics::Metrics;

/// One that listens. Dropping it kills it.
pub struct Agent {
    child: Child,
    netns: Namespace,
    /// Where it listens.
    pub address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts it in one namespace of the lab with these arguments, and returns when it listens.
    pub fn start(served: &Served, role: Role, arguments: &[&str]) -> Agent {
        let namespace = served.lab.namespace(role);
        let argv =
            [&[env!("CARGO_BIN_EXE_netbreak"), "agent", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut command = namespace.command(&argv).unwrap();
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        let address = first.strip_prefix("netbreak: listening on http://");
        let address = address.and_then(|rest| rest.strip_suffix("/metrics")?.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{first}"));
        let said = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&said);
        let reader = std::thread::spawn(move || lines.for_each(|line| to.lock().unwrap().push(line)));
        Agent { child, netns: namespace.try_clone().unwrap(), address, said, reader: Some(reader) }
    }

    /// Asks for something, and returns with the head of the answer.
    pub fn ask(&self, path: &str) -> Answer {
        Answer::of(&self.netns, self.address, "GET", path)
    }

    /// Something that is there.
    pub fn get(&self, path: &str) -> String {
        let answer = self.ask(path);
        assert_eq!(answer.status, 200, "{path}");
        answer.body()
    }

    /// All metrics.
    pub fn metrics(&self) -> Metrics {
        Metrics(self.get("/metrics"))
    }

    /// The kept reports, each as its id has it.
    pub fn reports(&self) -> Vec<Report> {
        let list: Vec<Value> = serde_json::from_str(&self.get("/reports")).unwrap();
        let get = |one: &Value| json::parse(&self.get(&format!("/reports/{}", one["id"].as_str().unwrap())));
        list.iter().map(|one| get(one).unwrap()).collect()
    }

    /// Waits for so many windows with this verdict.
    pub fn wait_for(&self, verdict: &str, windows: f64) {
        let label = format!("verdict=\"{verdict}\"");
        let count = || self.metrics().sum("netbreak_windows_total", &[&label]);
        wait_until(2 * PATIENCE, &format!("{windows} windows are {verdict}"), || count() >= windows);
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Has it ended?
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end: its exit status, and what it said.
    pub fn wait(mut self) -> (Option<i32>, Vec<String>) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        (status.code(), said)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
