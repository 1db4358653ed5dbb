//! What the queue of a device counted: RTM_GETQDISC.

use netlink_packet_core::NlasIterator;
use netlink_packet_route::tc::{TcHandle, TcHeader, TcStatsQueue};

/// RTM_GETQDISC (include/uapi/linux/rtnetlink.h).
pub(super) const GET_QDISC: u16 = 38;
/// `struct tcmsg`, all zero: every device.
pub(super) const REQUEST: [u8; HEADER] = [0; HEADER];
/// Length of `struct tcmsg`.
const HEADER: usize = 20;

/// Attributes (include/uapi/linux/rtnetlink.h, include/uapi/linux/gen_stats.h).
const TCA_KIND: u16 = 1;
const TCA_STATS2: u16 = 7;
const TCA_STATS_QUEUE: u16 = 3;

/// Where a queueing discipline sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// At the root of a device: everything that it sends. The kernel adds a class's drops to its parent's, so the root
    /// has them all.
    Egress,
    /// `ingress` and `clsact`: everything that it receives. They have no queue; what a filter drops there is counted.
    Ingress,
}

/// One queueing discipline. Its counters have 32 bits in the kernel (`struct gnet_stats_queue`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// The device's name.
    pub device: String,
    /// Such as `fq_codel` or `tbf`.
    pub kind: String,
    /// Its handle: another one is another qdisc. 0 = the kernel's default.
    pub handle: u32,
    /// Packets dropped.
    pub drops: u64,
    /// Times that a packet had to wait because a limit was reached.
    pub overlimits: u64,
    /// Packets that the device did not take at the first time.
    pub requeues: u64,
    /// Packets that wait now.
    pub queued: u32,
    /// Bytes that wait now.
    pub backlog: u32,
}

impl Qdisc {
    /// What was counted since `before`, which is `None` if nothing was there. Another qdisc than before was made since
    /// then, so all that it counted is new. `None` when a counter went back: it was re-created under the same handle.
    pub fn since(&self, before: Option<&Qdisc>) -> Option<Qdisc> {
        let same = before.filter(|before| before.kind == self.kind && before.handle == self.handle);
        let Some(before) = same else { return Some(self.clone()) };
        Some(Qdisc {
            drops: self.drops.checked_sub(before.drops)?,
            overlimits: self.overlimits.checked_sub(before.overlimits)?,
            requeues: self.requeues.checked_sub(before.requeues)?,
            ..self.clone()
        })
    }
}

/// Index of a device, and where a qdisc of it sits.
pub type Place = (u32, Hook);

/// Reads one message of a dump; `name` gives a device's name. `None` for inner ones, and where the kernel gives no
/// numbers.
pub(super) fn parse(message: &[u8], name: impl FnOnce(u32) -> String) -> Option<(Place, Qdisc)> {
    let header = TcHeader::parse(message).ok()?;
    let hook = match header.parent {
        TcHandle::ROOT => Hook::Egress,
        TcHandle::INGRESS => Hook::Ingress,
        _ => return None,
    };
    let (mut kind, mut queue) = (None, None);
    for attribute in NlasIterator::new(message.get(HEADER..)?).flatten() {
        match attribute.kind() {
            TCA_KIND => kind = Some(text(attribute.value())),
            TCA_STATS2 => {
                let mut inner = NlasIterator::new(attribute.value()).flatten();
                let stats = inner.find(|statistics| statistics.kind() == TCA_STATS_QUEUE);
                queue = stats.and_then(|statistics| TcStatsQueue::parse(statistics.value()).ok());
            }
            _ => {}
        }
    }
    let queue = queue?;
    let ifindex = header.index.try_into().ok()?;
    let qdisc = Qdisc {
        device: name(ifindex),
        kind: kind?,
        handle: header.handle.into(),
        drops: queue.drops.into(),
        overlimits: queue.overlimits.into(),
        requeues: queue.requeues.into(),
        queued: queue.qlen,
        backlog: queue.backlog,
    };
    Some(((ifindex, hook), qdisc))
}

/// A string with a NUL at its end.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}
