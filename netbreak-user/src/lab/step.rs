//! One thing that is done to the lab to break or to mend it.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use super::{Lab, Role, geneve, sockets, topology, xdp};

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
    /// A value under `/proc/sys/net` of the machine's first namespace, which holds for all of them.
    Machine(&'static str, &'static str),
    /// A program on this device that drops probe packets.
    Xdp(Role, &'static str, XdpMode),
    /// A UDP socket of the server on this port whose receive buffer is full and stays so.
    FullSocket(u16),
    /// A TCP socket of the server that listens on this port and whose accept queue is full and stays so.
    FullBacklog(u16),
    /// A TCP socket of the server that listens on this port and whose SYN queue is full and stays so, if SYN-ACKs of the
    /// server to itself are dropped and there are no SYN cookies.
    HalfOpen(u16),
    /// A packet socket in every namespace, on all devices. Nobody reads what they get.
    PacketSockets,
    /// A TAP device that is the end of a Geneve tunnel, and the addresses of this end and of the other one.
    Geneve(Role, &'static str, Ipv4Addr, Ipv4Addr),
    /// The end of all such sockets and programs.
    Close,
    /// The link between router and server, after it was deleted.
    Reconnect,
}

/// How a device runs an XDP program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XdpMode {
    /// On packets that the stack has made already.
    Generic,
    /// In the driver.
    Native,
}

impl Step {
    pub(super) fn run(&self, lab: &mut Lab) -> Result<()> {
        match *self {
            Step::Ip(role, arguments) => lab.ip(role, arguments),
            Step::Tc(role, arguments) => lab.tc(role, arguments),
            Step::Nft(role, rules) => lab.nft(role, rules),
            Step::Run(role, argv) => lab.exec(role, argv).map(drop),
            Step::Sysctl(role, key, value) => lab.namespace(role).sysctl(key, value),
            Step::Machine(key, value) => {
                let file = format!("/proc/sys/net/{key}");
                fs::write(&file, value).with_context(|| format!("cannot write {value} to {file}"))
            }
            Step::Xdp(role, device, mode) => {
                let attached = lab.namespace(role).run(|| xdp::attach(device, mode))?;
                let link = attached.with_context(|| {
                    format!("cannot attach an XDP program to {device} in the {}", role.name())
                })?;
                lab.open.push(link);
                Ok(())
            }
            Step::FullSocket(port) => {
                let filled = lab.namespace(Role::Server).run(|| sockets::full_buffer(port))?;
                let (socket, refused) =
                    filled.with_context(|| format!("cannot fill a socket on port {port}"))?;
                lab.refused += refused;
                lab.open.push(socket);
                Ok(())
            }
            Step::FullBacklog(port) => {
                let filled = lab.namespace(Role::Server).run(|| sockets::full_accept_queue(port))?;
                lab.open
                    .extend(filled.with_context(|| format!("cannot fill the accept queue of port {port}"))?);
                Ok(())
            }
            Step::HalfOpen(port) => {
                let filled = lab.namespace(Role::Server).run(|| sockets::full_syn_queue(port))?;
                lab.open.extend(filled.with_context(|| format!("cannot fill the SYN queue of port {port}"))?);
                Ok(())
            }
            Step::PacketSockets => {
                for role in Role::ALL {
                    let socket = lab.namespace(role).run(sockets::packets)?;
                    lab.open.push(socket.context("cannot open a packet socket")?);
                }
                Ok(())
            }
            Step::Geneve(role, device, local, remote) => {
                let end = lab.namespace(role).run(|| geneve::open(device, local, remote))?;
                let failed = || format!("cannot open {device} in the {} (TUN is needed)", role.name());
                lab.open.push(end.with_context(failed)?);
                Ok(())
            }
            Step::Close => {
                lab.open.clear();
                Ok(())
            }
            Step::Reconnect => topology::reconnect(lab),
        }
    }
}
