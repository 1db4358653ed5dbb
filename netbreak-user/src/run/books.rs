//! Both sides of the books at one moment, and the books of every namespace concerned.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result};

use crate::{
    counters::{self, Snapshots},
    kernel::Tracer,
    netns::Namespace,
    probe::{Attempt, Kind, Outcome, Record},
    report::{Book, TcpSegments},
    verdict::{self, Cut, Names, Own, Side},
};

/// The exact table around a snapshot of the kernel's counters.
pub(super) struct Snapshot {
    cut: Option<Cut>,
    counters: Snapshots,
}

impl Snapshot {
    pub(super) fn take(tracer: Option<&Tracer>, namespaces: &[Namespace]) -> Result<Self> {
        let places = || tracer.map(Tracer::places).transpose().context("cannot read the table of places");
        let before = places()?;
        let counters = counters::take(namespaces);
        let after = places()?;
        Ok(Self { cut: before.zip(after).map(|(before, after)| Cut { before, after }), counters })
    }

    /// What could not be read, and why.
    pub(super) fn failed(&self) -> &[String] {
        &self.counters.failed
    }
}

/// The books of the probes' namespaces and of every one in which packets of theirs were seen. `hidden` says what this
/// kernel hides from every tracing program, if it hides anything, and `no_upcalls` why upcalls are not traced, if they are
/// not.
pub(super) fn books(
    own: &BTreeMap<u32, Own>,
    seen: &BTreeSet<u32>,
    before: &Snapshot,
    after: &Snapshot,
    hidden: Option<&str>,
    no_upcalls: Option<&str>,
    names: &dyn Names,
) -> Vec<Book> {
    let counted = after.counters.since(&before.counters);
    let empty = Cut::default();
    let (start, end) = (before.cut.as_ref().unwrap_or(&empty), after.cut.as_ref().unwrap_or(&empty));
    let mut books = Vec::new();
    let others = seen.iter().copied().filter(|netns| !own.contains_key(netns) && *netns != 0);
    for netns in own.keys().copied().chain(others) {
        let Some(namespace) = counted.namespaces.get(&netns) else { continue };
        let mine = own.get(&netns).copied();
        let count = |name: &str| namespace.get(name);
        match after.cut {
            Some(_) => books.extend(verdict::books(netns, start, end, mine, &count, names)),
            // Without a kernel side only the probes' own numbers can be compared.
            None => books
                .extend(mine.map(|mine| verdict::echo_books(netns, mine, &count, names)).unwrap_or_default()),
        }
    }
    if let Some(hidden) = hidden {
        books.iter_mut().for_each(|book| add_hidden(book, hidden));
    }
    if let Some(why) = no_upcalls {
        let is_of_upcalls = |book: &&mut Book| book.counter.starts_with("Openvswitch.");
        for book in books.iter_mut().filter(is_of_upcalls) {
            (book.traced, book.balanced) = (None, None);
            book.why = Some(format!("not traced: {why}"));
        }
    }
    books
}

/// What was counted beside the books, by namespace.
pub(super) fn sides(before: &Snapshot, after: &Snapshot) -> BTreeMap<u32, Side> {
    let counted = after.counters.since(&before.counters);
    counted.namespaces.iter().map(|(netns, since)| (*netns, Side::of(since))).collect()
}

/// What TCP sent from a namespace between two snapshots.
pub(super) fn tcp_segments(netns: u32, before: &Snapshot, after: &Snapshot) -> Option<TcpSegments> {
    let counted = after.counters.since(&before.counters);
    let since = counted.namespaces.get(&netns)?;
    Some(TcpSegments { out: since.get("Tcp.OutSegs")?, retransmitted: since.get("Tcp.RetransSegs")? })
}

/// Where more was counted than traced, what the kernel hides from tracing programs may be the rest.
fn add_hidden(book: &mut Book, hidden: &str) {
    if let (Some(why), true) = (&mut book.why, book.counted > book.traced && book.traced.is_some()) {
        why.push_str(&format!("; {hidden}"));
    }
}

/// What the probes know of their namespaces' counters. Each record comes with its namespace.
pub(super) fn own_numbers<'a>(records: impl Iterator<Item = (&'a Record, u32)>) -> BTreeMap<u32, Own> {
    let mut numbers: BTreeMap<u32, Own> = BTreeMap::new();
    for (record, netns) in records {
        let own = numbers.entry(netns).or_default();
        let family = usize::from(matches!(record.address, IpAddr::V6(_)));
        let no_route =
            |attempt: &&Attempt| matches!(attempt.outcome, Outcome::SendFailed { errno: libc::ENETUNREACH });
        own.no_route[family] += match (record.kind, record.address) {
            // `raw_sendmsg` counts none; what is counted is the connect (`__ip4_datagram_connect`), until it succeeds.
            (Kind::Icmp, IpAddr::V4(_)) => record.attempts.iter().take_while(no_route).count(),
            _ => record.attempts.iter().filter(no_route).count(),
        } as u64;
        if record.kind != Kind::Icmp {
            continue;
        }
        let counted = |predicate: &dyn Fn(&Outcome) -> bool| {
            record.attempts.iter().filter(|attempt| predicate(&attempt.outcome)).count() as u64
        };
        // `__ip_make_skb` counts an echo when the packet is made: what netfilter (EPERM) or a queue (ENOBUFS) then
        // refuses is counted, what has no route or does not fit never was a packet.
        let made = counted(&|outcome| match outcome {
            Outcome::SendFailed { errno } => matches!(*errno, libc::EPERM | libc::ENOBUFS),
            _ => true,
        });
        let replies = counted(&|outcome| matches!(outcome, Outcome::Answered { .. } | Outcome::Late { .. }));
        *own.echoes[family].get_or_insert(0) += made;
        *own.replies[family].get_or_insert(0) += replies + record.duplicates;
    }
    numbers
}
