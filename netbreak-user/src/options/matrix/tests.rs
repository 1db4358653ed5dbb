//! Files that are accepted, and files that are refused with the line and what to write instead.

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};
use crate::options::{Netns, ProbeSpec};

const FILE: &str = r#"
duration = "30s"
[source]
pod-a = { pod = "default/client" }
node = { here = true }
outside = { netns = "pid:4711", address = "10.0.0.9" }
[target]
pod-b = { address = "10.16.0.9" }
web = { address = "web.example" }
[probe]
echo = { icmp = true, size = 100 }
page = { http = "8080/x", interval = "100ms" }
long = { stream = 5201 }
[[row]]
name = "pod, other node"
from = "pod-a"
to = "pod-b"
probes = ["long", "echo"]
[[row]]
name = "NodePort"
from = "outside"
to = "web"
probes = ["page"]
"#;

fn check(line: &str, text: &str) -> Result<MatrixOptions, Refused> {
    let words = ["netbreak", "matrix"].into_iter().chain(line.split('|').filter(|word| !word.is_empty()));
    match Cli::try_parse_from(words).unwrap().command {
        Command::Matrix(args) => MatrixOptions::check(&args, "m.toml", text),
        _ => panic!("not matrix"),
    }
}

#[test]
fn accepted() {
    let options = check("m.toml", FILE).unwrap();
    assert_eq!((options.duration, options.timeout), (30 * SECOND, SECOND));
    let rows: Vec<_> = options.rows.iter().map(|row| (row.name.as_str(), row.source)).collect();
    assert_eq!(rows, [("pod, other node", 1), ("NodePort", 0)]);
    let ways: Vec<_> = options.rows.iter().flat_map(|row| &row.probes).collect();
    assert_eq!(
        (&ways[0].probe, ways[0].size, ways[0].interval),
        (&ProbeSpec::Icmp, Some(100), 10 * MILLISECOND)
    );
    assert_eq!(ways[1].probe, ProbeSpec::Stream { port: 5201 });
    assert_eq!(ways[2].interval, 100 * MILLISECOND);
    // `node` is the source of no row.
    let places: Vec<_> = options.sources.iter().map(|source| source.place.clone()).collect();
    let pod = Place::Pod { namespace: "default".into(), name: "client".into() };
    assert_eq!(places, [Place::Netns(Netns::Pid(4711)), pod]);
    assert_eq!(
        options.plan(),
        "pod, other node: pod-a (pod default/client) visits 10.16.0.9 by icmp, stream 5201\n\
         NodePort: outside (netns pid:4711) visits web.example by http 8080/x\n\
         2 rows, 3 probes, for at most 30 s\n"
    );
    let one = check("m.toml|--row|NodePort", FILE).unwrap().plan();
    assert!(one.ends_with("\n1 row, 1 probe, for at most 30 s\n"), "{one}");
}

#[test]
fn the_command_line_has_the_last_word() {
    let options = check("m.toml|--duration|5m|--row|NodePort", FILE).unwrap();
    assert_eq!((options.duration, options.rows.len(), options.sources.len()), (300 * SECOND, 1, 1));
    assert_eq!(options.rows[0].source, 0);
    let message = check("m.toml|--row|Nodeport", FILE).unwrap_err().to_string();
    assert!(message.starts_with("--row: there is no row \"Nodeport\"") && message.contains("did you mean"));
}

#[test]
fn refused_with_line_and_suggestion() {
    for (from, to, words) in [
        ("duration", "duratoin", &["line 2", "unknown field `duratoin`", "did you mean `duration`?"][..]),
        ("30s", "30", &["line 2", "duration 30: expected a time with its unit"]),
        ("interval = \"100ms\"", "intervall = \"1s\"", &["line 12", "did you mean `interval`?"]),
        ("icmp = true", "icmp = false", &["line 11", "a probe is one of"]),
        ("icmp = true", "icmp = true, tcp = 80", &["line 11", "a probe is one of"]),
        ("5201", "70000", &["line 13", "stream 70000: a port is a number"]),
        ("size = 100", "insecure = true", &["line 11", "insecure is for https"]),
        ("{ stream = 5201 }", "{ https = \"443x\" }", &["line 13", "https 443x"]),
        ("size = 100", "size = 1", &["line 11", "--size 1"]),
        ("{ stream = 5201 }", "{ tcp = 80, size = 100 }", &["line 13", "size is for icmp and udp"]),
        (
            "{ stream = 5201 }",
            "{ stream = 80, interval = \"1s\" }",
            &["line 13", "interval is not for stream"],
        ),
        ("\"NodePort\"", "\" \"", &["line 20", "one line of text, which is not empty"]),
        ("\"NodePort\"", "\"a\\nb\"", &["line 20", "one line of text"]),
        ("\"pod-a\"\nto", "\"pdo-a\"\nto", &["line 16", "did you mean \"pod-a\"?"]),
        ("default/client", "client", &["line 4", "NAMESPACE/NAME"]),
        ("here = true", "here = true, netns = \"x\"", &["line 5", "source \"node\" has one of"]),
        ("\"10.0.0.9\"", "\"10.0.0\"", &["line 6", "address 10.0.0: expected an IPv4 or IPv6 address"]),
        ("\"10.16.0.9\"", "\"http://x/\"", &["line 8", "a target is a host, not a URL"]),
        (
            "from = \"pod-a\"",
            "from = \"poda\"",
            &["line 16", "no source \"poda\"", "did you mean \"pod-a\"?"],
        ),
        ("to = \"web\"", "to = \"pod-c\"", &["line 22", "no target \"pod-c\"", "did you mean \"pod-b\"?"]),
        ("[\"page\"]", "[\"paeg\"]", &["line 23", "no probe \"paeg\"", "did you mean \"page\"?"]),
        ("[\"page\"]", "[]", &["line 23", "at least one probe"]),
        ("[\"page\"]", "[\"page\", \"page\"]", &["line 23", "http 8080/x twice"]),
        ("\"NodePort\"", "\"pod, other node\"", &["line 20", "another row has this name"]),
        ("web.example", "fd00::1", &["line 20", "the other family"]),
        ("from = \"pod-a\"", "form = \"pod-a\"", &["line 16", "did you mean `from`?"]),
        ("[[row]]", "[[rows]]", &["line 14", "did you mean `row`?"]),
        ("[source]", "[source", &["line 3"]),
        ("[probe]", "interval = \"1us\"\n[probe]", &["line 10", "expected a table"]),
    ] {
        let text = FILE.replacen(from, to, 1);
        assert_ne!(text, FILE, "{from}");
        let message = check("m.toml", &text).expect_err(to).to_string();
        for word in words {
            assert!(message.contains(word), "{to}: {message}");
        }
    }
    assert!(check("m.toml", "").unwrap_err().to_string().contains("there is no [[row]]"));
    let hasty = FILE.replacen("duration", "interval = \"1us\"\nduration", 1);
    assert!(check("m.toml", &hasty).unwrap_err().to_string().contains("--timeout"));
}
