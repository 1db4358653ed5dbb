//! Machines that lack something: privileges, BTF, tracefs, symbols, files; or that have very many namespaces.

use std::process::{Command, Stdio};
use std::time::Instant;

use netbreak_user::kernel::TRACEPOINTS;
use netbreak_user::lab::{Lab, Role, find};

use crate::support::{
    NETBREAK, assert_refused, from_client, netbreak, probe, report, sensor, shell, skipped, text,
};

const RUN: &str = "run 127.0.0.1 --icmp --timeout 5s --duration 200ms --json -";

/// `netbreak` as root with these capabilities only.
fn with_capabilities(list: &str, line: &str) -> std::process::Output {
    let bounding = format!("--bounding-set=-all{list}");
    let mut command = Command::new("setpriv");
    command.args([&bounding, "--inh-caps=-all", NETBREAK]).args(line.split(' '));
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn three_capabilities_are_enough() {
    if skipped(&["setpriv"]) {
        return;
    }
    let output = with_capabilities(",+bpf,+perfmon,+net_raw", RUN);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(sensor(&report, "kfree_skb")["state"], "on");
    assert_eq!(probe(&report, "icmp")["answered"], 20);
}

#[test]
fn without_a_kernel_side_a_report_gives_its_own_reason() {
    if skipped(&["setpriv"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let why = |list: &str, line: &str| {
        let output = with_capabilities(list, &format!("{line} --json {}", file.display()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        sensor(&report, "kfree_skb")["why"].as_str().unwrap().to_owned()
    };
    let asked = why(",+net_raw", "run 127.0.0.1 --icmp --no-kernel --duration 100ms --quiet");
    assert!(asked.starts_with("--no-kernel was given: ") && !asked.contains("test-server"), "{asked}");
    let fell_back = why(",+net_raw", "test-server 127.0.0.1 --duration-seconds 1");
    assert!(fell_back.contains("CAP_BPF") && !fell_back.contains("was given"), "{fell_back}");
}

#[test]
fn what_is_missing_is_named() {
    if skipped(&["setpriv"]) {
        return;
    }
    for (list, line, words) in [
        ("", RUN, &["CAP_BPF", "CAP_PERFMON", "CAP_NET_RAW", "--no-kernel"][..]),
        (",+perfmon,+net_raw", RUN, &["CAP_BPF"]),
        (",+bpf,+net_raw", RUN, &["CAP_PERFMON"]),
        (",+bpf,+perfmon", RUN, &["CAP_NET_RAW", "--icmp"]),
        ("", "run 127.0.0.1 --icmp --no-kernel", &["CAP_NET_RAW", "--icmp"]),
        ("", "demo", &["root", "CAP_SYS_ADMIN"]),
        ("", "serve --tcp 1", &["127.0.0.1:1:", "CAP_NET_BIND_SERVICE"]),
    ] {
        let output = with_capabilities(list, line);
        assert_refused(&output, words);
        assert!(
            list.is_empty() || !text(&output.stderr).contains("CAP_SYS_ADMIN"),
            "{}",
            text(&output.stderr)
        );
    }
    let lab = Lab::new().unwrap();
    let line = from_client(&lab, "--icmp");
    let output = with_capabilities(",+bpf,+perfmon,+net_raw,+sys_ptrace", &line);
    assert_refused(&output, &["CAP_SYS_ADMIN"]);
}

#[test]
fn without_btf_only_the_probes_run() {
    if skipped(&["unshare", "umount"]) {
        return;
    }
    let without = |line: &str| shell(&format!("exec unshare -m sh -c 'umount -l /sys && exec $N {line}'"));
    assert_refused(&without(RUN), &["/sys/kernel/btf/vmlinux", "BTF", "--no-kernel"]);
    let output = without(&format!("{RUN} --no-kernel"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(probe(&report(&output), "icmp")["answered"], 20);
}

/// As `ip netns exec` does: it mounts a /sys of its own.
#[test]
fn neither_tracefs_nor_bpffs_is_needed() {
    if skipped(&["unshare", "mount", "ip"]) {
        return;
    }
    let hide = "ip link set lo up && mount -t sysfs sysfs /sys && ! test -e /sys/kernel/tracing/events && test -z \"$(ls /sys/fs/bpf)\"";
    let output = shell(&format!("exec unshare -mn sh -c '{hide} && exec $N {RUN}'"));
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0));
    for name in TRACEPOINTS.into_iter().chain(["drop reasons", "symbols"]) {
        assert_eq!(sensor(&report, name)["state"], "on", "{name}");
    }
}

/// `kernel.kptr_restrict` belongs to the whole machine, so what it does to /proc/kallsyms is done to one process.
#[test]
fn without_symbols_the_verdict_stands() {
    if skipped(&["unshare", "mount", "nft", "ip"]) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    lab.apply(find("nft-forward").unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let zeros = directory.path().join("kallsyms");
    std::fs::write(&zeros, "0000000000000000 T _text\n0000000000000000 T nft_do_chain\n").unwrap();
    let hide = format!("mount --bind {} /proc/kallsyms", zeros.display());
    let line = from_client(&lab, "--icmp --duration 300ms --timeout 300ms --json -");
    let output = shell(&format!("exec unshare -m sh -c '{hide} && exec $N {line}'"));
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1));
    let symbols = sensor(&report, "symbols");
    assert!(
        symbols["state"] == "off" && symbols["why"].as_str().unwrap().contains("/proc/kallsyms hides"),
        "{symbols}"
    );
    let probe = probe(&report, "icmp");
    let death = &probe["deaths"][0];
    assert_eq!((&death["cause"], &death["attempts"]), (&"netfilter".into(), &probe["sent"]), "{probe:#}");
    assert_eq!((&death["reason"], &death["symbol"]), (&"NETFILTER_DROP".into(), &serde_json::Value::Null));
    assert_eq!(death["netns"], lab.namespace(Role::Router).inode());
}

/// Named namespaces; removed when dropped.
struct Many {
    prefix: String,
}

const MANY: usize = 320;

impl Many {
    fn new() -> Self {
        let many = Many { prefix: format!("nbmany{}-", std::process::id()) };
        many.batch("add");
        many
    }

    fn batch(&self, verb: &str) {
        let commands: String = (0..MANY).map(|n| format!("netns {verb} {}{n}\n", self.prefix)).collect();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("batch");
        std::fs::write(&file, commands).unwrap();
        let done = Command::new("ip").args(["-force", "-batch"]).arg(&file).output().unwrap();
        assert!(done.status.success() || verb == "delete", "{}", text(&done.stderr));
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        self.batch("delete");
    }
}

#[test]
fn hundreds_of_namespaces_are_no_trouble() {
    if skipped(&["ip"]) {
        return;
    }
    let _many = Many::new();
    let start = Instant::now();
    let output = netbreak(RUN);
    println!("with {MANY} namespaces more a run of 0.2 s took {:?}", start.elapsed());
    let all = report(&output);
    assert_eq!((output.status.code(), &all["verdict"]), (Some(0), &"clean".into()), "{all:#}");

    // With few files the rest is not looked at, which is said; with next to none there is no run.
    let few = shell(&format!("ulimit -n 512; exec $N {RUN}"));
    let few = report(&few);
    assert_eq!(few["verdict"], "clean", "{few:#}");
    let counters = sensor(&few, "counters");
    assert!(
        counters["state"] == "degraded" && counters["why"].as_str().unwrap().contains("ulimit"),
        "{counters}"
    );
    let none = shell(&format!("ulimit -n 100; exec $N {RUN}"));
    assert_refused(&none, &["ulimit"]);
}
