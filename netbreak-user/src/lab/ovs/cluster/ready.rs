//! Whether every row is answered.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Cluster, Place, ROWS, Row, SERVER_CONNECT, SERVERS, Visit};

/// How long the network may take until it carries packets.
const READY: Duration = Duration::from_secs(20);
/// How long one try may take. The first packet of a path may wait for a neighbour, and is not repeated.
const TRY: Duration = Duration::from_millis(50);

/// Visits every row until it is answered, so that every neighbour is known.
pub(super) fn wait(cluster: &Cluster) -> Result<()> {
    let listen = |((place, address), port): ((Place, Ipv4Addr), u16)| {
        let bound = cluster.namespace(place).run(|| TcpListener::bind((address, port)))?;
        bound.with_context(|| format!("cannot listen on {address}:{port} in {}", place.name()))
    };
    let ports = SERVERS.into_iter().flat_map(|server| SERVER_CONNECT.map(|port| (server, port)));
    // The kernel takes connections without our doing.
    let _listeners = ports.map(listen).collect::<Result<Vec<TcpListener>>>()?;
    ROWS.iter().try_for_each(|row| {
        let answered = match row.visit {
            Visit::Icmp => echoes(cluster, row),
            Visit::Tcp { connect, .. } => connects(cluster, row, connect),
        };
        let (title, source) = (row.title, row.source.name());
        answered.with_context(|| format!("{source} does not reach {} ({title})", row.address))
    })
}

/// Sends datagrams until one comes back.
fn echoes(cluster: &Cluster, row: &Row) -> Result<()> {
    let open = |place: Place, address: Ipv4Addr| -> Result<UdpSocket> {
        let socket = cluster.namespace(place).run(|| UdpSocket::bind((address, 0)))?;
        let socket = socket.with_context(|| format!("cannot bind {address} in {}", place.name()))?;
        socket.set_read_timeout(Some(TRY))?;
        Ok(socket)
    };
    let client = open(row.source, Ipv4Addr::UNSPECIFIED)?;
    let server = open(row.server.0, row.server.1)?;
    let destination = SocketAddr::from((row.address, server.local_addr()?.port()));
    let mut buffer = [0; 16];
    patiently(|| {
        // Not reachable yet is an error here; the deadline judges.
        client.send_to(b"ready?", destination)?;
        let (_, from) = server.recv_from(&mut buffer)?;
        server.send_to(b"ready!", from)?;
        client.recv(&mut buffer).map(drop)
    })
}

/// Connects until a connection is taken.
fn connects(cluster: &Cluster, row: &Row, port: u16) -> Result<()> {
    let address = SocketAddr::from((row.address, port));
    cluster.namespace(row.source).run(|| patiently(|| TcpStream::connect_timeout(&address, TRY).map(drop)))?
}

/// Tries until it succeeds.
fn patiently(mut tried: impl FnMut() -> std::io::Result<()>) -> Result<()> {
    let deadline = Instant::now() + READY;
    while let Err(error) = tried() {
        ensure!(Instant::now() < deadline, "not within {} s: {error}", READY.as_secs());
    }
    Ok(())
}
