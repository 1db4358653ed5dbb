//! The addresses of an event's packet, as they were on the wire there.

use std::net::IpAddr;

use netbreak_common::{Event, FAMILY_V4, FAMILY_V6};

/// Whose packet it was; `None` if it was not IP.
pub fn source(event: &Event) -> Option<IpAddr> {
    address(event.family, event.source)
}

/// Whom it was for; `None` if it was not IP.
pub fn destination(event: &Event) -> Option<IpAddr> {
    address(event.family, event.destination)
}

fn address(family: u8, bytes: [u8; 16]) -> Option<IpAddr> {
    match family {
        FAMILY_V4 => Some(IpAddr::from(<[u8; 4]>::try_from(&bytes[..4]).ok()?)),
        FAMILY_V6 => Some(IpAddr::from(bytes)),
        _ => None,
    }
}
