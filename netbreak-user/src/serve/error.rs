//! Why `netbreak serve` cannot start.

use std::io;
use std::net::SocketAddr;

use crate::probe::Kind;

/// Why `netbreak serve` cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port that cannot be had.
    #[error("cannot serve {kind} on {address}: {source}; {advice}", kind = kind.name(), advice = advice(*kind, *address, source))]
    Bind {
        /// What was to be served there.
        kind: Kind,
        /// Where.
        address: SocketAddr,
        /// The kernel's word.
        source: io::Error,
    },
    /// No port was asked for.
    #[error("nothing to serve: give at least one of --tcp PORT, --http PORT, --udp PORT, --stream PORT")]
    Nothing,
}

fn advice(kind: Kind, address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let protocol = if kind == Kind::Udp { 'u' } else { 't' };
            format!("`ss -ln{protocol}p sport = :{port}` shows who has it; port 0 takes any free one")
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: use a higher one".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this network namespace (`ip address`)", address.ip())
        }
        _ => "try another address or port".to_owned(),
    }
}
