//! Prometheus itself reads what is scraped.

use std::io::Write;
use std::process::{Command, Stdio};

use netbreak_user::lab::{Role, find};
use serde_json::Value;

use crate::agent::Agent;
use crate::common::{PATIENCE, Served, TCP, skipped, wait_until};
use crate::http::Answer;

const WINDOWS: [&str; 6] = ["--interval", "50ms", "--window", "1s", "--timeout", "300ms"];

/// As Prometheus' own linter has it: names, units, helps, types.
#[test]
fn promtool_has_nothing_to_say() {
    if skipped(&["ip", "nft", "promtool"]) {
        return;
    }
    let mut served = Served::new();
    served.lab.apply(find("nft-forward-random").unwrap()).unwrap();
    let tcp = TCP.to_string();
    let agent =
        Agent::start(&served, Role::Client, &[&["10.0.2.2", "--icmp", "--tcp", &tcp], &WINDOWS[..]].concat());
    agent.wait_for("broken", 1.0);
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(agent.metrics().0.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn prometheus_scrapes_and_answers() {
    if skipped(&["ip", "prometheus"]) {
        return;
    }
    let served = Served::new();
    let agent = Agent::start(&served, Role::Client, &[&["10.0.2.2", "--icmp"], &WINDOWS[..]].concat());
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let config = format!(
        "scrape_configs:\n- job_name: netbreak\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
         static_configs:\n  - targets: ['{}']\n",
        agent.address
    );
    std::fs::write(path("config.yml"), config).unwrap();
    // In a namespace of the lab every port is free.
    let at = "127.0.0.1:9090".parse().unwrap();
    let arguments = [
        "prometheus".to_owned(),
        format!("--config.file={}", path("config.yml")),
        format!("--storage.tsdb.path={}", path("data")),
        format!("--web.listen-address={at}"),
        "--log.level=error".to_owned(),
    ];
    let client = served.lab.namespace(Role::Client);
    let _prometheus = client.spawn(&arguments.each_ref().map(String::as_str)).unwrap();
    let is_open = || client.run(|| std::net::TcpStream::connect(at).is_ok()).unwrap();
    wait_until(PATIENCE, "prometheus listens", is_open);
    let ask = |query: &str| -> Option<f64> {
        let body = Answer::of(client, at, "GET", &format!("/api/v1/query?query={query}")).body();
        let answer: Value = serde_json::from_str(&body).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    let mut scraped = 0.0;
    // Nothing is known while a scrape takes too long.
    wait_until(PATIENCE, "attempts are known", || {
        scraped = ask("sum(netbreak_attempts_total)").unwrap_or_default();
        scraped > 0.0
    });
    assert!(scraped <= agent.metrics().sum("netbreak_attempts_total", &[]), "{scraped}");
    let is_up = || ask("up") == Some(1.0);
    wait_until(PATIENCE, "it was reached at the last try", is_up);
    let quantile = || ask("netbreak_rtt_seconds%7Bquantile=%220.99%22%7D");
    wait_until(PATIENCE, "a quantile is known", || quantile().is_some_and(|rtt| rtt > 0.0 && rtt < 1.0));
}
