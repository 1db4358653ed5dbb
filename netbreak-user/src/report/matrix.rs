//! The tables of a matrix: kube-ovn's two (echoes lost; retransmits and failed connections), with what they never had: how
//! long, where, why.

use std::collections::BTreeMap;

use super::text::{
    format::{NOT_MEASURED, count, measured, time},
    places::{Place, Places},
};
use super::{Probe, Report, Row, Target};
use crate::probe::Kind;

/// One table: as many cells in each row as there are columns.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Vec<String>>,
}

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) is_number: bool,
}

const fn words(name: &'static str) -> Column {
    Column { name, is_number: false }
}

const fn number(name: &'static str) -> Column {
    Column { name, is_number: true }
}

/// Those of echoes and datagrams.
const MESSAGES: &[Column] = &[
    words("row"),
    number("sent"),
    number("lost"),
    number("late"),
    number("longest outage"),
    words("where and why"),
];

const CONNECTIONS: &[Column] = &[
    words("row"),
    number("tries"),
    number("failed"),
    number("retransmits"),
    number("longest outage"),
    words("note"),
    words("where and why"),
];

/// The tables that have rows; none for a report that is no matrix.
pub(super) fn tables(report: &Report, places: &Places) -> Vec<Table> {
    let table = |title, columns, kinds: &[Kind], row: fn(&[&Probe], &Places) -> Vec<String>| {
        let rows = report.targets.iter().filter_map(|target| {
            let probes: Vec<&Probe> =
                target.probes.iter().filter(|probe| kinds.contains(&probe.kind)).collect();
            let name = target.row.as_ref().filter(|_| !probes.is_empty())?.name.clone();
            Some(std::iter::once(name).chain(row(&probes, places)).collect())
        });
        Table { title, columns, rows: rows.collect() }
    };
    let tables = [
        table("ICMP", MESSAGES, &[Kind::Icmp], messages),
        table("UDP", MESSAGES, &[Kind::Udp], messages),
        table("TCP", CONNECTIONS, &[Kind::Tcp, Kind::Http, Kind::Https, Kind::Stream], connections),
    ];
    tables.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

impl Report {
    /// Is it that of a matrix?
    pub fn is_matrix(&self) -> bool {
        self.targets.iter().any(|target| target.row.is_some())
    }
}

impl Probe {
    /// Of a stream that never had a connection: what came of it, in words.
    pub(super) fn never_connected(&self) -> Option<&'static str> {
        let refused = || self.deaths.iter().any(|death| death.reason.as_deref() == Some("ECONNREFUSED"));
        match self.stream?.connections {
            0 if refused() => Some("never connected: refused"),
            0 => Some("never connected"),
            _ => None,
        }
    }
}

impl Target {
    /// Its name for people: that of its row, and who visits whom.
    pub(super) fn title(&self) -> String {
        let visited = match self.target == self.address {
            true => self.target.clone(),
            false => format!("{} ({})", self.target, self.address),
        };
        match &self.row {
            Some(Row { name, source, .. }) => format!("{name}: {source} → {visited}"),
            None => visited,
        }
    }
}

fn messages(probes: &[&Probe], places: &Places) -> Vec<String> {
    let sum = |count: fn(&Probe) -> u64| probes.iter().map(|probe| count(probe)).sum::<u64>().to_string();
    let lost = sum(Probe::needing_a_death);
    vec![sum(|probe| probe.sent), lost, sum(|probe| probe.late), outage(probes), fate(probes, places)]
}

fn connections(probes: &[&Probe], places: &Places) -> Vec<String> {
    // What a stream counts is writes, not connections: they are told as a stream's.
    let (streams, visits): (Vec<&Probe>, Vec<&Probe>) =
        probes.iter().copied().partition(|probe| probe.kind == Kind::Stream);
    let of_visits = |cell: &dyn Fn() -> String| match visits.is_empty() {
        true => NOT_MEASURED.to_owned(),
        false => cell(),
    };
    let sum = |count: fn(&Probe) -> u64| {
        of_visits(&|| visits.iter().map(|probe| count(probe)).sum::<u64>().to_string())
    };
    let resent: Option<u64> = probes.iter().map(|probe| Some(probe.retransmits?.segments)).sum();
    let name = |probe: &Probe| match (streams.len(), probe.port) {
        (2.., Some(port)) => format!("stream {port}"),
        _ => "stream".to_owned(),
    };
    let told_of_streams = streams.iter().map(|probe| format!("{}: {}", name(probe), stream_note(probe)));
    let died_of_streams = streams.iter().filter_map(|probe| {
        let fate = fate(&[probe], places);
        (!fate.is_empty()).then(|| format!("{}: {fate}", name(probe)))
    });
    let died = Some(fate(&visits, places)).filter(|fate| !fate.is_empty());
    vec![
        sum(|probe| probe.sent),
        sum(Probe::unanswered),
        measured(resent),
        of_visits(&|| outage(&visits)),
        visits.iter().flat_map(|probe| notes(probe)).chain(told_of_streams).collect::<Vec<_>>().join("; "),
        died.into_iter().chain(died_of_streams).collect::<Vec<_>>().join("; "),
    ]
}

fn outage(probes: &[&Probe]) -> String {
    let outages = probes.iter().flat_map(|probe| &probe.outages).map(|outage| outage.duration_s);
    outages.max_by(f64::total_cmp).map_or_else(|| "none".to_owned(), time)
}

/// What one number does not say of a connection.
fn notes(probe: &Probe) -> Vec<String> {
    let mut notes = Vec::new();
    if probe.refused > 0 {
        notes.push(format!("{} refused", probe.refused));
    }
    if probe.reset > 0 {
        notes.push(format!("{} reset", probe.reset));
    }
    if let Some(errors @ 1..) = probe.http_errors {
        notes.push(count(errors, "HTTP error"));
    }
    if let Some(errors @ 1..) = probe.tls_errors {
        notes.push(count(errors, "TLS error"));
    }
    notes
}

/// What became of a stream: its resets, how long nothing got through, and who sent the RSTs.
fn stream_note(probe: &Probe) -> String {
    let mut notes = Vec::new();
    match (probe.never_connected(), probe.stream) {
        (Some(words), _) => notes.push(words.to_owned()),
        (None, Some(stream)) => {
            notes.push(match stream.resets {
                0 => "never reset".to_owned(),
                resets => count(resets, "reset"),
            });
            notes.push(format!("longest stall {}", time(stream.longest_stall_s)));
        }
        (None, None) => {}
    }
    if !probe.outages.is_empty() {
        notes.push(format!("longest outage {}", outage(&[probe])));
    }
    if let Some(rst) = probe.rsts.first() {
        let by = rst.netns_name.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
        let state = rst.state.as_ref().map(|state| format!(" in {state}")).unwrap_or_default();
        notes.push(format!("{}{by}{state}", count(rst.segments, "RST")));
    }
    notes.join(", ")
}

/// `17 link, ovn0 in node1 [1]; 4 unseen [2]; 1 unexplained; 2 late`; nothing where nothing happened.
fn fate(probes: &[&Probe], places: &Places) -> String {
    let mut dead: BTreeMap<usize, u64> = BTreeMap::new();
    for death in probes.iter().flat_map(|probe| &probe.deaths) {
        *dead.entry(places.number(death).unwrap_or_default()).or_default() += death.attempts;
    }
    let mut dead: Vec<(usize, u64)> = dead.into_iter().collect();
    dead.sort_by_key(|(number, attempts)| (std::cmp::Reverse(*attempts), *number));
    let at = |(number, attempts): (usize, u64)| {
        let place = places.iter().find(|(other, _)| *other == number).map(|(_, place)| short(place));
        format!("{attempts} {} [{number}]", place.unwrap_or_default())
    };
    let unexplained: u64 = probes.iter().map(|probe| probe.unexplained).sum();
    let unexplained = (unexplained > 0).then(|| format!("{unexplained} unexplained"));
    // Why they were late takes a sentence, which stands elsewhere; echoes and datagrams have a column for them.
    let visits = probes.iter().filter(|probe| matches!(probe.kind, Kind::Tcp | Kind::Http | Kind::Https));
    let late: u64 = visits.map(|probe| probe.late).sum();
    let late = (late > 0).then(|| format!("{late} late"));
    dead.into_iter().map(at).chain(unexplained).chain(late).collect::<Vec<_>>().join("; ")
}

fn short(place: &Place) -> String {
    let death = place.death;
    let netns = death.netns_name.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    match &death.device {
        Some(device) => format!("{}, {device}{netns}", death.cause.name()),
        None => format!("{}{netns}", death.cause.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Death, Outage, fixtures};
    use super::*;

    #[test]
    fn a_run_has_no_tables() {
        for (name, report) in fixtures::all().into_iter().filter(|(name, _)| *name != "matrix") {
            assert!(tables(&report, &Places::of(&report)).is_empty() && !report.is_matrix(), "{name}");
        }
    }

    #[test]
    fn rows_stand_in_the_tables_of_their_probes() {
        let report = fixtures::matrix();
        let tables = tables(&report, &Places::of(&report));
        let told: Vec<(&str, Vec<&str>)> = tables
            .iter()
            .map(|table| (table.title, table.rows.iter().map(|row| row[0].as_str()).collect()))
            .collect();
        assert_eq!(
            told,
            [
                ("ICMP", vec!["pod, other node", "ovn0"]),
                ("UDP", vec!["ovn0"]),
                ("TCP", vec!["pod, other node", "ovn0"])
            ]
        );
        for table in &tables {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.title);
        }
    }

    #[test]
    fn writes_of_a_stream_are_no_connections() {
        let mut report = fixtures::matrix();
        let probes = &mut report.targets[1].probes;
        probes.retain(|probe| matches!(probe.kind, Kind::Tcp | Kind::Stream));
        let [connect, stream] = &mut probes[..] else { panic!("{probes:?}") };
        let outage = |duration_s| Outage { start_s: 1.0, end_s: 1.0 + duration_s, duration_s, attempts: 9 };
        connect.outages = vec![outage(0.5)];
        stream.outages = vec![outage(3.0)];
        stream.unexplained = 412;
        let row = |report: &Report| {
            let row = tables(report, &Places::of(report)).pop().unwrap().rows.pop().unwrap();
            row.iter().map(|cell| cell.replace('\u{a0}', " ")).collect::<Vec<_>>()
        };
        let told = row(&report);
        assert_eq!(told[1..3], ["800", "0"]);
        assert_eq!(told[4], "500.0 ms");
        assert_eq!(told[5], "stream: never reset, longest stall 1.000 ms, longest outage 3.00 s");
        assert_eq!(told[6], "stream: 412 unexplained");

        report.targets[1].probes.remove(0);
        let told = row(&report);
        assert_eq!((&*told[1], &*told[2], &*told[4]), ("–", "–", "–"));
    }

    #[test]
    fn a_stream_that_never_connected_was_never_reset_either() {
        let mut report = fixtures::matrix();
        let stream = report.targets[1].probes.last_mut().unwrap();
        let life = stream.stream.as_mut().unwrap();
        (life.connections, life.longest_stall_s) = (0, 0.0);
        assert_eq!(stream_note(stream), "never connected");
        let refused = Death { reason: Some("ECONNREFUSED".into()), ..fixtures::broken_death() };
        stream.deaths = vec![refused];
        assert_eq!(stream_note(stream), "never connected: refused");
        assert_eq!(fixtures::clean().targets[0].probes[4].never_connected(), None);
    }
}
