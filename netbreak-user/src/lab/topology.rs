//! Who is connected to whom in the lab: `client c0 – r0 router r1 – s0 server`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Lab, LabNamespace, Role};

/// The client's address.
pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
/// The server's address.
pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The client's IPv6 address.
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 2);
/// The server's IPv6 address.
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 2);

/// How long the network may take until it carries packets.
const READY: Duration = Duration::from_secs(5);

/// Link addresses are fixed, so that a fault can pin a neighbour.
const CLIENT: &str = "\
link set lo up
address add 10.0.1.2/24 dev c0
address add fd00:1::2/64 dev c0 nodad
link set c0 up
route add default via 10.0.1.1
route add default via fd00:1::1
";
const ROUTER: &str = "\
link set lo up
address add 10.0.1.1/24 dev r0
address add fd00:1::1/64 dev r0 nodad
link set r0 up
";
/// The router's side of its link to the server.
const ROUTER_TO_SERVER: &str = "\
address add 10.0.2.1/24 dev r1
address add fd00:2::1/64 dev r1 nodad
link set r1 up
";
const SERVER: &str = "\
link set lo up
address add 10.0.2.2/24 dev s0
address add fd00:2::2/64 dev s0 nodad
link set s0 up
route add default via 10.0.2.1
route add default via fd00:2::1
";

/// Before any device exists, so that each one is made with these: no link-local address is tentative, and a link
/// that goes down keeps its IPv6 addresses.
const EVERYWHERE: [(&str, &str); 4] = [
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/all/keep_addr_on_down", "1"),
    ("ipv6/conf/default/keep_addr_on_down", "1"),
];
/// Forwarding; and a path check off, which some distributions turn on for new namespaces.
const FORWARDING: [(&str, &str); 4] = [
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
];

/// Connects the three namespaces and waits until the server hears the client, over both families.
pub(super) fn build(lab: &Lab) -> Result<()> {
    for role in Role::ALL {
        lab.namespace(role).sysctls(&EVERYWHERE)?;
    }
    lab.namespace(Role::Router).sysctls(&FORWARDING)?;
    // Where both ends have the same index the kernel takes its time with their carriers (`linkwatch_urgent_event` in
    // net/core/link_watch.c), and the second one has no link-local address for up to a second. Those of r1 and s0 differ.
    let link = format!(
        "link add r0 address 02:00:00:00:01:01 type veth peer name c0 index 1000 address 02:00:00:00:01:02 netns {}\n",
        lab.namespace(Role::Client).pid(),
    );
    batch(lab, Role::Router, &(link + ROUTER))?;
    batch(lab, Role::Client, CLIENT)?;
    reconnect(lab)?;
    let [client, server] = [Role::Client, Role::Server].map(|role| lab.namespace(role));
    reach((client, CLIENT_V4.into()), (server, SERVER_V4.into()))?;
    reach((client, CLIENT_V6.into()), (server, SERVER_V6.into()))
}

/// Makes the link between router and server.
pub(super) fn reconnect(lab: &Lab) -> Result<()> {
    let link = format!(
        "link add r1 address 02:00:00:00:02:01 type veth peer name s0 address 02:00:00:00:02:02 netns {}\n",
        lab.namespace(Role::Server).pid(),
    );
    batch(lab, Role::Router, &(link + ROUTER_TO_SERVER))?;
    batch(lab, Role::Server, SERVER)
}

fn batch(lab: &Lab, role: Role, commands: &str) -> Result<()> {
    lab.namespace(role).exec(&["ip", "-batch", "-"], commands).map(drop)
}

/// One end of a way: a namespace, and an address that it has.
type End<'a> = (&'a LabNamespace, IpAddr);

/// Sends datagrams from `client` until one arrives at `server`, and back, so that every neighbour is known.
pub(super) fn reach(client: End, server: End) -> Result<()> {
    let open = |(namespace, address): End| -> Result<UdpSocket> {
        let socket = namespace.run(|| UdpSocket::bind((address, 0)))?;
        let socket = socket.with_context(|| format!("cannot bind {address} in the lab"))?;
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        Ok(socket)
    };
    let client = open(client)?;
    let server = open(server)?;
    carries(&client, &server)?;
    carries(&server, &client)
}

fn carries(from: &UdpSocket, to: &UdpSocket) -> Result<()> {
    let destination = to.local_addr()?;
    let deadline = Instant::now() + READY;
    while Instant::now() < deadline {
        // Not reachable yet is an error here; the deadline judges.
        let _ = from.send_to(b"ready?", destination);
        if to.recv(&mut [0; 16]).is_ok() {
            return Ok(());
        }
    }
    bail!("nothing reached {destination} in the lab within {} s", READY.as_secs())
}
