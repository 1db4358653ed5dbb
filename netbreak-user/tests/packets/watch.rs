//! `netbreak watch`: what its lines say, summed up, is what the kernel counted.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use netbreak_user::lab::{Role, SERVER_V4, find};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{PATIENCE, Served, Witness, skipped};

/// `netbreak watch --json`, which has started to count.
struct Watch {
    child: Child,
    lines: Receiver<Value>,
}

impl Watch {
    fn start(arguments: &[&str]) -> Watch {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netbreak"));
        command.args(["watch", "--json"]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, lines) = mpsc::channel();
        let from = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                let _ = to.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let watch = Watch { child, lines };
        let first = watch.lines.recv_timeout(PATIENCE).unwrap();
        assert_eq!((&first["line"], &first["schema"]), (&"start".into(), &"netbreak.watch/1".into()));
        watch
    }

    /// Ends it as Ctrl-C does: the rows, and the last line.
    fn interrupt(mut self) -> (Vec<Value>, Value) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut rows: Vec<Value> = self.lines.iter().collect();
        let end = rows.pop().unwrap();
        assert_eq!(end["line"], "end", "{end}");
        rows.iter().for_each(|row| assert_eq!(row["line"], "row", "{row}"));
        (rows, end)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn packets(rows: &[Value]) -> u64 {
    rows.iter().map(|row| row["packets"].as_u64().unwrap()).sum()
}

/// Sends `count` datagrams from the client to each of 50 ports of the server, some at a time. As long as the socket is open
/// nobody else has its port.
fn send(served: &Served, first: u16, count: u32) -> std::net::UdpSocket {
    let send = || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        for number in 0..count * 50 {
            socket.send_to(b"watched", (SERVER_V4, first + (number % 50) as u16)).unwrap();
        }
        socket
    };
    served.lab.namespace(Role::Client).run(send).unwrap()
}

#[test]
fn the_lines_add_up_to_what_the_rule_counted() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    let fault = find("nft-forward-random").unwrap();
    served.lab.apply(fault).unwrap();
    let witness = Witness::new();
    let router = served.lab.namespace(Role::Router);
    let netns = format!("pid:{}", router.pid());
    let watch =
        Watch::start(&["--netns", &netns, "--reason", "netfilter_drop", "--device", "r0", "--only", "drops"]);
    let first = send(&served, 20_000, 10);
    // Rows of the first second are there: what comes then grows them.
    let early = watch.lines.recv_timeout(PATIENCE).unwrap();
    let second = send(&served, 20_000, 10);
    let (mut rows, end) = watch.interrupt();
    drop((first, second));
    rows.push(early);
    let truth = served.lab.read_truth(fault).unwrap().unwrap();
    assert!((100..900).contains(&truth), "{truth} of 1000 were to die at random");
    let seen = packets(&rows);
    let unseen = witness.drops("NETFILTER_DROP") + end["missed"].as_u64().unwrap();
    assert!(seen <= truth && truth - seen <= unseen, "{seen} of {truth}, {unseen} unseen");
    assert_eq!(end["drops"], seen, "{end}");
    for row in &rows {
        assert_eq!((&row["what"], &row["reason"]), (&"drop".into(), &"NETFILTER_DROP".into()), "{row}");
        assert_eq!((&row["netns"], &row["device"]), (&router.inode().into(), &"r0".into()), "{row}");
        assert_eq!(row["flow"]["dst"], SERVER_V4.to_string(), "{row}");
    }
    // The totals of a flow's last row are the sum of all its rows.
    let mut flows: HashMap<String, (u64, u64)> = HashMap::new();
    for row in &rows {
        let (sum, last) = flows.entry(row["flow"].to_string()).or_default();
        *sum += row["packets"].as_u64().unwrap();
        *last = (*last).max(row["total_packets"].as_u64().unwrap());
    }
    assert!(flows.len() > 50, "{flows:?}");
    assert!(flows.values().all(|(sum, last)| sum == last), "{flows:?}");
}

#[test]
fn retransmits_are_what_the_kernel_counts() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let served = Served::new();
    let witness = Witness::new();
    let client = served.lab.namespace(Role::Client);
    let netns = format!("pid:{}", client.pid());
    let before = served.counter(Role::Client, "Tcp.RetransSegs");
    let watch = Watch::start(&["--netns", &netns, "--only", "retransmits", "--port", "7000"]);
    served
        .lab
        .nft(
            Role::Router,
            "table inet gone {\n chain gone {\n type filter hook forward priority 0;\n drop\n }\n}\n",
        )
        .unwrap();
    // A SYN that nobody answers is sent again after a second.
    let connect = || {
        let to = (SERVER_V4, 7000).into();
        std::net::TcpStream::connect_timeout(&to, std::time::Duration::from_millis(3500)).unwrap_err()
    };
    client.run(connect).unwrap();
    let (rows, end) = watch.interrupt();
    let counted = served.counter(Role::Client, "Tcp.RetransSegs") - before;
    let unseen = witness.retransmits(&|_| true);
    let seen = packets(&rows);
    assert!(
        counted >= 2 && seen <= counted && counted - seen <= unseen,
        "{seen} of {counted}, {unseen} unseen"
    );
    assert_eq!((&end["retransmits"], &end["drops"]), (&seen.into(), &0.into()), "{end}");
    assert!(rows.iter().all(|row| row["flow"]["dport"] == 7000 && row["what"] == "retransmit"), "{rows:#?}");
}
