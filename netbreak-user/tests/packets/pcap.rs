//! `--pcap`: what tshark reads is what the kernel dropped, packet by packet.

use std::{collections::BTreeMap, net::IpAddr, path::Path, process::Command};

use netbreak_user::lab::{Role, find};

use crate::common::{Done, PATIENCE, Served, V4, V6, died, skipped, wait_until};

/// What tshark says of a packet.
struct Packet {
    time: f64,
    /// Of the protocol that the probe has: source and destination.
    addresses: (IpAddr, IpAddr),
    device: String,
    namespace: String,
    comment: String,
}

fn read(file: &Path) -> Vec<Packet> {
    const FIELDS: &str = "frame.time_epoch ip.src ip.dst ipv6.src ipv6.dst frame.interface_name \
                          frame.interface_description frame.comment";
    let mut tshark = Command::new("tshark");
    tshark.args(["-r".as_ref(), file.as_os_str()]).args(["-T", "fields"]);
    tshark.args(FIELDS.split_whitespace().flat_map(|field| ["-e", field]));
    let output = tshark.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(packet).collect()
}

fn packet(line: &str) -> Packet {
    let fields: Vec<&str> = line.split('\t').collect();
    let [time, source4, destination4, source6, destination6, device, namespace, comment] = fields[..] else {
        panic!("{line}")
    };
    let address = |v4: &str, v6: &str| [v4, v6].concat().parse().unwrap_or_else(|_| panic!("{line}"));
    Packet {
        time: time.parse().unwrap(),
        addresses: (address(source4, source6), address(destination4, destination6)),
        device: device.to_owned(),
        namespace: namespace.to_owned(),
        comment: comment.to_owned(),
    }
}

/// The attempt that a comment of this kind of probe names.
fn attempt(comment: &str, kind: &str) -> Option<u64> {
    let rest = comment.strip_prefix(kind)?;
    let (_, rest) = rest.split_once("attempt ")?;
    rest.split_once(", request: netfilter, NETFILTER_DROP at nft_do_chain (netfilter forward), on r0 in ")?
        .0
        .parse()
        .ok()
}

fn lost(done: &Done) -> u64 {
    done.report.probes().map(|probe| probe.lost).sum()
}

#[test]
fn each_dropped_packet_is_in_the_file_once_with_its_death() {
    if skipped(&["ip", "nft", "tshark"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dead.pcapng");
    let mut served = Served::new();
    let fault = find("nft-forward-random").unwrap();
    served.lab.apply(fault).unwrap();
    // Far longer than the test: it is interrupted.
    let plan = ["--icmp", "--udp", "4000", "--duration", "5m", "--timeout", "500ms", "--interval", "20ms"];
    let run = served.start_all(&[V4, V6], &[&plan[..], &["--pcap", file.to_str().unwrap()]].concat());
    let truth = || served.lab.read_truth(fault).unwrap().unwrap();
    wait_until(PATIENCE, "some packets are dropped", || truth() > 40);
    let done = run.interrupt();

    let packets = read(&file);
    assert_eq!(
        (packets.len() as u64, lost(&done)),
        (truth(), truth()),
        "packets, attempts and nft's counter"
    );
    let probes: Vec<_> = done.report.probes().cloned().collect();
    assert_eq!(died(&probes, |death| death.device.as_deref() == Some("r0")), truth());

    let client = done.report.run.netns;
    assert_eq!(client, served.inode(Role::Client));
    let mut attempts: BTreeMap<(&str, IpAddr), Vec<u64>> = BTreeMap::new();
    let started: jiff::Timestamp = done.report.run.started.parse().unwrap();
    for packet in &packets {
        let comment = packet.comment.as_str();
        let kind = comment.split(' ').next().unwrap();
        let seq = attempt(comment, kind).unwrap_or_else(|| panic!("{comment}"));
        assert!(
            packet.device == "r0" && packet.namespace.starts_with("in "),
            "{} {}",
            packet.device,
            packet.namespace
        );
        let since_start = packet.time - started.as_nanosecond() as f64 / 1e9;
        assert!((0.0..done.report.run.duration_s + 1.0).contains(&since_start), "{since_start}");
        attempts.entry((kind, packet.addresses.1)).or_default().push(seq);
        assert_ne!(packet.addresses.0, packet.addresses.1);
    }
    assert_eq!(
        attempts.keys().copied().collect::<Vec<_>>(),
        [("icmp", V4), ("icmp", V6), ("udp", V4), ("udp", V6)]
    );
    for ((kind, address), attempts) in attempts {
        let in_order = attempts.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(in_order, "{kind} {address}: {attempts:?}");
    }
}
