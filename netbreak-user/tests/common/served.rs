//! A lab whose server answers every kind of probe.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use netbreak_user::lab::{Lab, Role, SERVER_V4, SERVER_V6};

use super::Run;

/// Where the server takes connects.
pub const TCP: u16 = 7000;
/// Where it answers HTTP requests.
pub const HTTP: u16 = 8080;
/// Where it echoes datagrams.
pub const UDP: u16 = 4000;
/// Where it swallows streams.
pub const STREAM: u16 = 5201;
/// The server.
pub const V4: IpAddr = IpAddr::V4(SERVER_V4);
/// The server, over IPv6.
pub const V6: IpAddr = IpAddr::V6(SERVER_V6);

/// Labs made so far.
static LABS: AtomicU16 = AtomicU16::new(0);

/// A lab with `netbreak serve` in it.
pub struct Served {
    server: Child,
    /// The lab.
    pub lab: Lab,
    ports: RangeInclusive<u16>,
}

impl Served {
    /// Builds it, and returns when every port is open.
    pub fn new() -> Served {
        let lab = Lab::new().unwrap();
        // All labs have the same addresses. Their connections have other ports, so that no packet of one lab looks like
        // a packet of another.
        let first = 10_000 + 1_200 * (LABS.fetch_add(1, Ordering::Relaxed) % 40);
        let ports = first..=first + 1_199;
        let range = format!("{} {}", ports.start(), ports.end());
        lab.namespace(Role::Client).sysctl("ipv4/ip_local_port_range", &range).unwrap();
        let open = [("--tcp", TCP), ("--http", HTTP), ("--udp", UDP), ("--stream", STREAM)];
        let mut argv = vec![env!("CARGO_BIN_EXE_netbreak").to_owned(), "serve".to_owned()];
        argv.extend(open.iter().flat_map(|(option, port)| [(*option).to_owned(), port.to_string()]));
        argv.extend([V4, V6].iter().flat_map(|address| ["--bind".to_owned(), address.to_string()]));
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let mut command = lab.namespace(Role::Server).command(&argv).unwrap();
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        // A line for each open port, of each address.
        let lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let served = Served { server, lab, ports };
        assert_eq!(lines.take(2 * open.len()).filter(Result::is_ok).count(), 2 * open.len());
        served
    }

    /// Starts `netbreak run` in the client; reports go to us.
    pub fn start(&self, address: IpAddr, arguments: &[&str]) -> Run {
        self.start_all(&[address], arguments)
    }

    /// The same with several addresses of the server.
    pub fn start_all(&self, addresses: &[IpAddr], arguments: &[&str]) -> Run {
        let netns = format!("pid:{}", self.lab.namespace(Role::Client).pid());
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        Run::start(&[&addresses[..], &["--netns", &netns], arguments].concat())
    }

    /// The ports of the client's connections, in no other lab of this process.
    pub fn ports(&self) -> &RangeInclusive<u16> {
        &self.ports
    }

    /// A counter of a namespace such as `Icmp.OutEchos` or `Icmp6OutEchos`, since the namespace's birth.
    pub fn counter(&self, role: Role, name: &str) -> u64 {
        let directory = format!("/proc/{}/net", self.lab.namespace(role).pid());
        let Some((table, column)) = name.split_once('.') else {
            let text = std::fs::read_to_string(directory + "/snmp6").unwrap();
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
            return line.split_whitespace().nth(1).unwrap().parse().unwrap();
        };
        let text = std::fs::read_to_string(directory + "/snmp").unwrap();
        let mut lines = text.lines().filter(|line| line.split(':').next() == Some(table));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let index = names.split(' ').position(|word| word == column).unwrap();
        values.split(' ').nth(index).unwrap().parse().unwrap()
    }

    /// Inode number of a namespace.
    pub fn inode(&self, role: Role) -> u32 {
        self.lab.namespace(role).inode()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
