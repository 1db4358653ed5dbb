//! The file: the paths of kube-ovn's tables. What is not known stands there as a comment, to be filled in.

use std::fmt::Write as _;

use super::cluster::Paths;

const HEAD: &str = "\
# The paths of kube-ovn's tables, all at the same time: echoes to pods, ovn0 and node addresses, and TCP
# connects to a pod, a Service, an address outside of the cluster and a NodePort.
#
#   netbreak matrix kube-ovn.toml --check
#   netbreak matrix kube-ovn.toml --trigger 'kubectl ko reload'
#
# Run it where the client pod runs, with the host's network and processes (the DaemonSet's pod is such a place).
# `netbreak matrix --init` writes this file with the addresses of a cluster. A line that begins with `#` and an
# address in <> is not known: fill it in, and take the # away from its rows.

duration = \"10m\"
timeout = \"1s\"
interval = \"10ms\"
";

const NODE_PORT: &str = "\
# The NodePort is visited from this machine, at the address of another node. For a visitor outside of the cluster give
# `outside` the network namespace of one, such as that of a container on this machine: netns = \"pid:4711\".
";

/// The file for these paths.
pub(super) fn render(paths: &Paths) -> String {
    let mut file = HEAD.to_owned();
    // Writing to a String cannot fail.
    let _ = write(&mut file, paths);
    file
}

/// What kubectl did not find, and what that leaves of the file; `None` if only the address outside is to be filled in,
/// which kubectl cannot know.
pub(super) fn missing(paths: &Paths) -> Option<String> {
    let missing: Vec<&str> = [
        ("pod to leave from (--client NAMESPACE/POD)", paths.client.is_none()),
        ("other pod on its node", paths.pod_here.is_none()),
        ("pod on another node", paths.pod_there.is_none()),
        ("addresses of nodes", paths.node_here.is_none() || paths.node_there.is_none()),
        (
            "addresses of ovn0 (annotation ovn.kubernetes.io/ip_address)",
            paths.ovn0_here.is_none() || paths.ovn0_there.is_none(),
        ),
        ("Service with a TCP port", paths.service.is_none()),
        ("NodePort", paths.node_port.is_none()),
    ]
    .into_iter()
    .filter_map(|(what, is_missing)| is_missing.then_some(what))
    .collect();
    let file = render(paths);
    let rows = |mark: &str| file.lines().filter(|line| *line == format!("{mark}[[row]]")).count();
    (!missing.is_empty()).then(|| {
        format!(
            "kubectl found no {}; {} of {} rows are comments, to be filled in",
            missing.join(", no "),
            rows("# "),
            rows("# ") + rows(""),
        )
    })
}

fn write(file: &mut String, paths: &Paths) -> std::fmt::Result {
    let node = paths.node.as_ref().map(|node| format!(" # on {node}")).unwrap_or_default();
    writeln!(file, "\n[source]")?;
    line(
        file,
        "client",
        paths.client.as_ref().map(|pod| format!("{{ pod = \"{pod}\" }}{node}")),
        "pod = \"<NAMESPACE/NAME>\"",
    )?;
    writeln!(file, "{NODE_PORT}outside = {{ here = true }}")?;

    writeln!(file, "\n[target]")?;
    let targets = [
        ("pod-here", paths.pod_here),
        ("pod-there", paths.pod_there),
        ("ovn0-here", paths.ovn0_here),
        ("ovn0-there", paths.ovn0_there),
        ("node-here", paths.node_here),
        ("node-there", paths.node_there),
        ("service", paths.service.map(|(address, _)| address)),
        ("outside", paths.outside),
    ];
    for (name, address) in targets {
        line(
            file,
            name,
            address.map(|address| format!("{{ address = \"{address}\" }}")),
            "address = \"<ADDRESS>\"",
        )?;
    }

    writeln!(file, "\n[probe]\necho = {{ icmp = true }}")?;
    for (name, port, otherwise) in [
        ("pod-port", paths.pod_port, 80),
        ("service-port", paths.service.map(|(_, port)| port), 80),
        ("node-port", paths.node_port, 30080),
        ("outside-port", None, 80),
    ] {
        writeln!(file, "{name} = {{ tcp = {} }}", port.unwrap_or(otherwise))?;
    }
    writeln!(
        file,
        "# With `netbreak serve --stream 5201` at the other end; a row that has it shows stalls and resets.\n\
         long = {{ stream = 5201 }}"
    )?;

    let is_known = |name: &str| targets.iter().any(|(known, address)| *known == name && address.is_some());
    for (name, from, to, probes) in [
        ("pod, same node", "client", "pod-here", "\"echo\""),
        ("ovn0, same node", "client", "ovn0-here", "\"echo\""),
        ("node of the pod", "client", "node-here", "\"echo\""),
        ("pod, other node", "client", "pod-there", "\"echo\", \"pod-port\""),
        ("ovn0, other node", "client", "ovn0-there", "\"echo\""),
        ("other node", "client", "node-there", "\"echo\""),
        ("Service", "client", "service", "\"service-port\""),
        ("outside", "client", "outside", "\"echo\", \"outside-port\""),
        ("NodePort from outside", "outside", "node-there", "\"node-port\""),
    ] {
        // Only the NodePort's row does not leave from the client.
        let leaves = if from == "client" { paths.client.is_some() } else { paths.node_port.is_some() };
        let mark = if leaves && is_known(to) { "" } else { "# " };
        writeln!(
            file,
            "\n{mark}[[row]]\n{mark}name = \"{name}\"\n{mark}from = \"{from}\"\n{mark}to = \"{to}\"\n{mark}probes = [{probes}]"
        )?;
    }
    Ok(())
}

/// `name = value`, or as a comment what it has to be.
fn line(file: &mut String, name: &str, value: Option<String>, wanted: &str) -> std::fmt::Result {
    match value {
        Some(value) => writeln!(file, "{name} = {value}"),
        None => writeln!(file, "# {name} = {{ {wanted} }}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::options::MatrixOptions;

    const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/scenarios/kube-ovn.toml");

    fn check(text: &str) -> Result<MatrixOptions, String> {
        match Cli::try_parse_from(["netbreak", "matrix", "x.toml"]).unwrap().command {
            Command::Matrix(args) => MatrixOptions::check(&args, "x.toml", text).map_err(|e| e.to_string()),
            _ => panic!("not matrix"),
        }
    }

    /// A cluster with kube-ovn's default subnets, as kind builds it.
    fn example() -> Paths {
        let at = |text: &str| Some(text.parse().unwrap());
        Paths {
            client: Some("default/client".into()),
            node: Some("node-1".into()),
            pod_here: at("10.16.0.6"),
            pod_there: at("10.16.0.8"),
            pod_port: Some(80),
            ovn0_here: at("100.64.0.2"),
            ovn0_there: at("100.64.0.3"),
            node_here: at("172.18.0.2"),
            node_there: at("172.18.0.3"),
            service: Some(([10, 96, 0, 20].into(), 80)),
            node_port: Some(30080),
            outside: at("192.0.2.1"),
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        assert_eq!(missing(&example()), None);
        assert_eq!(missing(&Paths { outside: None, ..example() }), None);
        let some = missing(&Paths { pod_there: None, node_port: None, ..example() }).unwrap();
        assert_eq!(
            some,
            "kubectl found no pod on another node, no NodePort; 2 of 9 rows are comments, to be filled in"
        );
        let none = missing(&Paths::default()).unwrap();
        assert!(none.starts_with("kubectl found no pod to leave from"), "{none}");
        assert!(none.ends_with("9 of 9 rows are comments, to be filled in"), "{none}");
    }

    #[test]
    fn the_shipped_file_has_the_eleven_rows_and_is_current() {
        let text = render(&example());
        let options = check(&text).unwrap();
        assert_eq!(options.rows.iter().map(|row| row.probes.len()).sum::<usize>(), 11);
        if std::env::var_os("NETBREAK_UPDATE").is_some() {
            std::fs::write(SHIPPED, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(SHIPPED).unwrap(), text, "write it anew with NETBREAK_UPDATE=1");
    }

    #[test]
    fn what_is_not_known_is_a_comment() {
        let text = render(&Paths { outside: None, node_port: None, ..example() });
        assert_eq!(check(&text).unwrap().rows.len(), 7);
        assert!(text.contains("# outside = { address = \"<ADDRESS>\" }"), "{text}");
        assert!(text.contains("# name = \"NodePort from outside\""), "{text}");
        assert!(check(&render(&Paths::default())).unwrap_err().contains("there is no [[row]]"));
    }
}
