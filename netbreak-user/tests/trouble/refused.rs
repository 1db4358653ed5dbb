//! What cannot be run is refused before anything starts.

use std::time::Instant;

use crate::support::{assert_refused, netbreak, shell, text};

#[test]
fn a_refusal_names_the_value_and_what_to_do() {
    for (line, words) in [
        ("run nosuch.invalid", &["nosuch.invalid", "getent"][..]),
        ("run http://fd00::1:80/x", &["http://fd00::1:80/x", "brackets"]),
        ("run fd00::1::2", &["fd00::1::2"]),
        ("run 127.0.0.1 --tcp 0", &["--tcp 0", "1 to 65535"]),
        ("run 127.0.0.1 --udp 70000", &["--udp 70000", "1 to 65535"]),
        ("run 127.0.0.1 --interval 0", &["--interval 0"]),
        ("run 127.0.0.1 --duration 0s", &["--duration 0s"]),
        ("run 127.0.0.1 --json /no/such/directory/x.json", &["/no/such/directory/x.json", "--json"]),
        ("run 127.0.0.1 --json /proc", &["/proc", "--json"]),
        ("run 127.0.0.1 --html /no/such/directory/x.html", &["/no/such/directory/x.html", "--html"]),
        ("demo --html /proc", &["/proc", "--html"]),
        ("run 127.0.0.1 --netns no-such-name", &["no-such-name", "`ip netns`"]),
        ("run 127.0.0.1 --netns pid:4294967295", &["4294967295"]),
        ("run 127.0.0.1 --netns /no/such/file", &["/no/such/file"]),
        ("run 127.0.0.1 --netns /dev/null", &["/dev/null", "not a network namespace"]),
        ("run 127.0.0.1 --tcp 9 --no-kernel --source 192.0.2.7", &["192.0.2.7", "`ip address`"]),
        ("run 127.0.0.1 --tcp 9 --no-kernel --interface no-such-dev", &["no-such-dev", "`ip link`"]),
        ("serve", &["--tcp PORT"]),
        ("serve --tcp 70000", &["--tcp 70000"]),
        ("serve --udp 4000 --bind 192.0.2.7", &["192.0.2.7:4000", "`ip address`"]),
        ("serve --udp 4000 --bind localhost", &["--bind localhost", "address"]),
        ("demo --fault no-such-fault", &["no-such-fault", "--list"]),
        ("demo --lab ovn --fault nft-forward", &["nft-forward", "--lab ovn --list"]),
        ("demo --duration 0", &["--duration 0"]),
    ] {
        assert_refused(&netbreak(line), words);
    }
}

#[test]
fn a_lab_whose_programs_are_missing_names_the_command_and_the_packages() {
    let output = shell("PATH=/nowhere exec $N demo --lab ovn");
    let packages = "openvswitch-switch ovn-central ovn-host";
    assert_refused(&output, &["`ovn`", "ovs-vswitchd", "`cargo xtask setup --lab ovn`", packages]);
}

/// The thread that finds the reason and the one that tells it must not race.
#[test]
fn a_probe_that_cannot_be_made_always_says_why() {
    for _ in 0..20 {
        let output = netbreak("run 127.0.0.1 --tcp 9 --no-kernel --source 192.0.2.7");
        assert_refused(&output, &["cannot leave from 192.0.2.7"]);
    }
}

#[test]
fn a_refused_run_leaves_no_report() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let causes =
        ["nosuch.invalid", "127.0.0.1 --tcp 9 --no-kernel --source 192.0.2.7", "127.0.0.1 --html /proc"];
    for cause in causes {
        let output = netbreak(&format!("run {cause} --json {}", path.display()));
        assert_refused(&output, &[]);
        assert!(!path.exists(), "{cause}");
    }
}

/// The file may be for another machine: its check is content, and says so.
#[test]
fn a_check_tells_what_this_machine_does_not_have() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("m.toml");
    let sources = [
        ("pod", "pod = \"default/gone\""),
        ("netns", "netns = \"no-such-name\""),
        ("device", "here = true, interface = \"no-such-dev\""),
        ("address", "here = true, address = \"192.0.2.7\""),
        ("here", "here = true"),
    ];
    let mut matrix = "[target.lo]\naddress = \"127.0.0.1\"\n[probe.echo]\nicmp = true\n".to_owned();
    for (name, place) in sources {
        matrix +=
            &format!("[[row]]\nname = \"{name}\"\nfrom = \"{name}\"\nto = \"lo\"\nprobes = [\"echo\"]\n");
        matrix = format!("source.{name} = {{ {place} }}\n{matrix}");
    }
    std::fs::write(&file, matrix).unwrap();
    let output = netbreak(&format!("matrix {} --check", file.display()));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for words in ["default/gone", "no-such-name", "no-such-dev", "192.0.2.7"] {
        assert_eq!(said.lines().filter(|line| line.contains(words)).count(), 1, "{words}: {said}");
    }
    assert_eq!(said.matches("not on this machine").count(), 4, "{said}");
    assert!(text(&output.stdout).contains("5 rows, 5 probes"), "{}", text(&output.stdout));
}

#[test]
fn a_hundred_thousand_targets_are_counted_and_refused() {
    let targets: Vec<String> = (0..100_000).map(|n| format!("a{n}")).collect();
    let start = Instant::now();
    let output = netbreak(&format!("run {}", targets.join(" ")));
    println!("took {:?}", start.elapsed());
    assert_refused(&output, &["100000 targets", "4096"]);
}

#[test]
fn a_port_in_use_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_refused(&netbreak(&format!("serve --tcp {port}")), &[&port.to_string(), "ss -lntp"]);
    assert_refused(&netbreak(&format!("serve --http {port}")), &["in use"]);
}
