//! The UDP end: it answers only datagrams of netbreak's probes, each with one of the same length.

use tokio::net::UdpSocket;

use crate::probe::wire::make_reply;

/// Answers until it is dropped. A reply that the kernel refuses is a lost reply, no reason to end.
pub(super) async fn answer(socket: UdpSocket) {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if make_reply(&mut buffer[..length]) {
                    // Waits for room at the most; what cannot be sent at all is the loss that a probe is to see.
                    let _ = socket.send_to(&buffer[..length], from).await;
                }
            }
            // An ICMP error for an earlier reply, or no memory: neither stays.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
