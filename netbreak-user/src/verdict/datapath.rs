//! What became of packets in Open vSwitch's kernel datapath: one sentence, with who was to tell it what to do.

use super::{
    Evidence,
    daemons::{Absence, SEEN_WITHIN},
    last::Asked,
    switch::{self, AFTER_START, Fate, Handed, SWITCH, away, filler},
};

/// How they ended there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault<'a> {
    /// There was no flow for them, and ovs-vswitchd was asked, or was to be asked.
    Upcall(Asked),
    /// A flow ended them, or an action of it failed: the kernel's reason, where it gives one.
    Flow(Option<&'a str>),
    /// They came in and left by no port.
    Vanished,
}

/// The sentence.
pub fn sentence(evidence: &Evidence, at: &Handed, fault: Fault) -> String {
    let Handed { device, here, .. } = at;
    match fault {
        Fault::Upcall(Asked::Refused(errno)) => format!(
            "Open vSwitch {here} had no flow for what came by port {device}, and {}{}",
            refused(errno),
            who_was_to_answer(evidence, at, errno)
        ),
        Fault::Upcall(Asked::Handed | Asked::Unknown) => format!(
            "Open vSwitch {here} had no flow for what came by port {device} and asked ovs-vswitchd, which {}: {}",
            match at.fate {
                Fate::Died => "sent it nowhere",
                Fate::Late => "did not send it on in time",
            },
            why_no_answer(evidence, at)
        ),
        Fault::Flow(reason) => {
            // What an OpenFlow table without entries makes; a newer ovs-vswitchd says so explicitly.
            let may_be_empty =
                matches!(reason, None | Some("NOT_SPECIFIED" | "OVS_DROP_LAST_ACTION" | "OVS_DROP_EXPLICIT"));
            let why = if may_be_empty { why_no_output(evidence, at) } else { look(evidence, at) };
            format!("{} what came by port {device} {here}: {why}", flow(reason))
        }
        Fault::Vanished => format!(
            "Open vSwitch {here} took them by port {device} and let them out by none, as a flow without actions \
             does (none was seen dropped): {}",
            why_no_output(evidence, at)
        ),
    }
}

/// `ovs_dp_upcall`, `queue_userspace_packet`, `netlink_unicast`.
fn refused(errno: i32) -> String {
    match errno {
        libc::ENOTCONN => "no handler of ovs-vswitchd was there to ask (ENOTCONN)".to_owned(),
        libc::ECONNREFUSED => {
            "the handler of ovs-vswitchd that it was to ask was gone (ECONNREFUSED)".to_owned()
        }
        libc::EAGAIN => {
            "the socket of ovs-vswitchd's handler was full (EAGAIN): it was too slow, or stopped".to_owned()
        }
        0 => "ovs-vswitchd could not be asked".to_owned(),
        errno => format!("asking ovs-vswitchd failed (errno {errno})"),
    }
}

/// `enum ovs_drop_reason`, net/openvswitch/drop.h.
fn flow(reason: Option<&str>) -> String {
    let Some(reason) = reason else { return "an Open vSwitch flow dropped".to_owned() };
    let what = match reason {
        "OVS_DROP_LAST_ACTION" => "an Open vSwitch flow without an output dropped",
        "OVS_DROP_EXPLICIT" => "a drop action of an Open vSwitch flow dropped",
        "OVS_DROP_EXPLICIT_WITH_ERROR" => "a flow that ovs-vswitchd could not translate (an error) dropped",
        "OVS_DROP_METER" => "a meter of Open vSwitch (`ovs-ofctl -O OpenFlow13 meter-stats`) dropped",
        "OVS_DROP_CONNTRACK" => "connection tracking in an Open vSwitch flow dropped",
        "OVS_DROP_IP_TTL" => "an Open vSwitch flow that lowers the hop limit, which ran out, dropped",
        "OVS_DROP_RECURSION_LIMIT" | "OVS_DROP_DEFERRED_LIMIT" => {
            "Open vSwitch, whose flows recirculated too often, dropped"
        }
        "OVS_DROP_ACTION_ERROR" => "an action of an Open vSwitch flow failed and dropped",
        _ => "an Open vSwitch flow dropped",
    };
    format!("{what} ({reason})")
}

/// Who was to answer, and whether it was there.
fn who_was_to_answer(evidence: &Evidence, at: &Handed, errno: i32) -> String {
    // Who starts finds the ports with its predecessor's handlers, and removes the flows before it makes its own
    // (`open_dpif_backer` and `type_run`, ofproto/ofproto-dpif.c).
    let has_none = matches!(errno, libc::ENOTCONN | libc::ECONNREFUSED);
    let is_meant = |absence: &Absence| {
        let soon = absence.until.is_some_and(|until| at.span.1 <= until + AFTER_START);
        has_none && soon && !absence.stopped && precedes(absence, at)
    };
    if let Some(started) = switch::started(evidence, SWITCH, at, is_meant) {
        let started = started.came("", evidence.start);
        return format!("; {started}, and its own handlers were not there yet");
    }
    match away(evidence, SWITCH, at) {
        Some(away) => format!("; {}", away.was("", evidence.start)),
        None => format!(": look at `ovs-dpctl show` (lost) {}", at.here),
    }
}

/// Why ovs-vswitchd, which was asked, did not answer.
fn why_no_answer(evidence: &Evidence, at: &Handed) -> String {
    match (empty_tables(evidence, at), away(evidence, SWITCH, at)) {
        (None, Some(away)) => away.was("", evidence.start),
        (tables, _) => tables.unwrap_or_else(|| look(evidence, at)),
    }
}

/// Why a flow had no output. Not that ovs-vswitchd was away: flows do without it.
fn why_no_output(evidence: &Evidence, at: &Handed) -> String {
    empty_tables(evidence, at).unwrap_or_else(|| look(evidence, at))
}

/// That ovs-vswitchd has started, and who fills its tables, if they began to die after that.
fn empty_tables(evidence: &Evidence, at: &Handed) -> Option<String> {
    let started = switch::started(evidence, SWITCH, at, |absence| precedes(absence, at))?;
    let came = started.came("", evidence.start);
    Some(match switch::tables(evidence, started, at) {
        Some(tables) => format!("{came}, {tables}"),
        None => came,
    })
}

/// Where to look, and what became of the one that fills the tables.
fn look(evidence: &Evidence, at: &Handed) -> String {
    let filler = filler(evidence, at);
    format!("look at `ovs-dpctl dump-flows` {} and at `ovs-appctl ofproto/trace`{filler}", at.here)
}

/// Was it over when they began to die?
fn precedes(absence: &Absence, at: &Handed) -> bool {
    absence.until.is_some_and(|until| until <= at.span.0 + SEEN_WITHIN)
}
