//! What a fault is: how it is brought about and undone, and what the kernel then shows.

use std::net::UdpSocket;

use anyhow::{Context, Result, ensure};
use socket2::SockRef;

use super::{Lab, Role, SERVER_V4};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

/// A way to break the lab.
#[derive(Debug)]
pub struct Fault {
    /// For `--fault`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// What must be installed.
    pub needs: Need,
    /// May `netbreak demo` show it? Its five probes go to a `netbreak serve` that it knows nothing of.
    pub demo: bool,
    /// The probes that it hits.
    pub probes: &'static [Kind],
    /// What `netbreak run` must be told besides the probe, such as a size.
    pub arguments: &'static [&'static str],
    /// How it is brought about. The step that starts it is the last one that touches packets.
    pub apply: &'static [Step],
    /// How it is undone. The count of the dead stays.
    pub undo: &'static [Step],
    /// What the verdict must say about icmp and udp attempts. `None`: no packet of them dies by `kfree_skb`.
    pub expected: Option<Expected>,
    /// Who knows how many died.
    pub truth: Truth,
}

/// A program beside iproute2, which the lab needs anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing else.
    Iproute2,
    /// `nft`.
    Nftables,
    /// `iptables`.
    Iptables,
    /// `nft` and `ethtool`.
    Ethtool,
}

impl Need {
    /// The programs, as they are called.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Need::Iproute2 => &["ip", "tc"],
            Need::Nftables => &["ip", "tc", "nft"],
            Need::Iptables => &["ip", "tc", "iptables"],
            Need::Ethtool => &["ip", "tc", "nft", "ethtool"],
        }
    }
}

/// Where a packet dies, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Class of the death.
    pub cause: Cause,
    /// Which way the packet went.
    pub leg: Leg,
    /// In which namespace.
    pub role: Role,
    /// Device of the packet; `None` where it has none.
    pub device: Option<&'static str>,
    /// The kernel's reason (as of 6.18).
    pub reason: &'static str,
}

/// One thing that is done to the lab.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// `ip` with these arguments.
    Ip(Role, &'static str),
    /// `tc` with these arguments.
    Tc(Role, &'static str),
    /// Rules for `nft`, in one transaction.
    Nft(Role, &'static str),
    /// Any other program and its arguments.
    Run(Role, &'static [&'static str]),
    /// A value under `/proc/sys/net`.
    Sysctl(Role, &'static str, &'static str),
    /// A UDP socket of the server on this port whose receive buffer is full and stays so.
    FullSocket(u16),
    /// The end of all such sockets.
    CloseSockets,
}

impl Step {
    pub(super) fn run(&self, lab: &mut Lab) -> Result<()> {
        match *self {
            Step::Ip(role, arguments) => lab.ip(role, arguments),
            Step::Tc(role, arguments) => lab.tc(role, arguments),
            Step::Nft(role, rules) => lab.nft(role, rules),
            Step::Run(role, argv) => lab.exec(role, argv).map(drop),
            Step::Sysctl(role, key, value) => lab.namespace(role).sysctl(key, value),
            Step::FullSocket(port) => {
                let filled = lab.namespace(Role::Server).run(|| full_socket(port))?;
                let (socket, refused) =
                    filled.with_context(|| format!("cannot fill a socket on port {port}"))?;
                lab.baseline += refused;
                lab.sockets.push(socket);
                Ok(())
            }
            Step::CloseSockets => {
                lab.sockets.clear();
                Ok(())
            }
        }
    }
}

/// Fills the smallest receive buffer with the smallest datagrams, so that none fits any more, of whatever size.
/// Says how many of ours were refused meanwhile.
fn full_socket(port: u16) -> Result<(UdpSocket, u64)> {
    const ENOUGH: u64 = 64;
    let socket = UdpSocket::bind((SERVER_V4, port))?;
    SockRef::from(&socket).set_recv_buffer_size(0)?;
    socket.set_nonblocking(true)?;
    let sender = UdpSocket::bind((SERVER_V4, 0))?;
    // Loopback delivers before send returns: what does not fit is gone already.
    let fill = || (0..ENOUGH).try_for_each(|_| sender.send_to(b"x", (SERVER_V4, port)).map(drop));
    fill()?;
    let mut fits = 0;
    while socket.recv(&mut [0; 16]).is_ok() {
        fits += 1;
    }
    ensure!(fits < ENOUGH, "{ENOUGH} datagrams fit into the smallest receive buffer");
    fill()?;
    Ok((socket, 2 * (ENOUGH - fits)))
}

/// Who knows how many packets died of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The nft counter `died` of the table `netbreak` of this family.
    Nft(Role, &'static str),
    /// An SNMP counter, since the fault was brought about. Nothing else in the lab raises it.
    Snmp(Role, &'static str),
    /// The drops of the root qdisc of this device.
    Qdisc(Role, &'static str),
    /// The packets of an iptables rule: the table, and the chain whose first rule it is.
    Iptables(Role, &'static str, &'static str),
    /// Nobody: it is every packet of that leg sent while the fault was there.
    Everything,
}
