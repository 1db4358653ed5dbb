//! What a person has chosen on the screen: order, filter, row, and the row whose detail stays. Pure.

use std::collections::VecDeque;

use super::{
    difference,
    keys::Key,
    lines::rate,
    seen::Entry,
    table::{Sort, words},
};

/// Looks whose rates a detail shows: a minute.
const LOOKS: usize = 60;
/// Rows that a page key goes.
const PAGE: usize = 10;
/// Characters of a filter: more do not fit anywhere.
const LONGEST: usize = 80;

/// What has been chosen.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Which rows come first.
    pub sort: Sort,
    /// A row is shown if each of these words stands in it, in any case.
    pub filter: String,
    /// Do letters go into the filter?
    pub is_typing: bool,
    /// The row that keys are for. It stays when rows change places.
    pub selected: Option<difference::Key>,
    /// The row whose detail stays on the screen, whatever is sorted and filtered.
    pub detail: Option<Detail>,
}

/// A row whose detail stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Whose.
    pub key: difference::Key,
    /// Packets per second at each look since it was opened, the latest last.
    pub rates: VecDeque<u64>,
}

/// What a key asks of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// The end.
    Quit,
    /// To stop the picture, or to let it go on.
    Pause,
}

impl View {
    /// The rows that the filter lets pass, in order.
    pub fn shown<'a>(&self, entries: &'a [Entry]) -> Vec<&'a Entry> {
        let wanted: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        let passes = |entry: &&Entry| {
            let text = words(&entry.row);
            wanted.iter().all(|word| text.contains(word))
        };
        let mut shown: Vec<&Entry> = entries.iter().filter(passes).collect();
        self.sort.apply(&mut shown);
        shown
    }

    /// Notes what the last look has seen of the row whose detail is open.
    pub fn look(&mut self, entries: &[Entry], interval_s: f64) {
        let Some(detail) = &mut self.detail else { return };
        let packets =
            entries.iter().find(|entry| entry.key == detail.key).map_or(0, |entry| entry.row.packets);
        detail.rates.push_back(rate(packets, interval_s));
        if detail.rates.len() > LOOKS {
            detail.rates.pop_front();
        }
    }

    /// Does what a key says, on a screen of these rows.
    pub fn press(&mut self, key: Key, entries: &[Entry]) -> Asked {
        match key {
            Key::Up | Key::Down | Key::PageUp | Key::PageDown | Key::First | Key::Last => {
                self.go(key, entries)
            }
            _ if self.is_typing => self.write(key),
            Key::Letter('q' | 'Q') => return Asked::Quit,
            Key::Letter('p' | 'P' | ' ') => return Asked::Pause,
            Key::Letter('s' | 'S') => self.sort = self.sort.next(),
            Key::Letter('k') => self.go(Key::Up, entries),
            Key::Letter('j') => self.go(Key::Down, entries),
            Key::Letter('/') => self.is_typing = true,
            Key::Enter => self.open(entries),
            Key::Escape => self.step_back(),
            Key::Backspace | Key::Clear | Key::Letter(_) => {}
        }
        Asked::Nothing
    }

    fn go(&mut self, key: Key, entries: &[Entry]) {
        let shown = self.shown(entries);
        let last = shown.len().saturating_sub(1);
        let now = shown.iter().position(|entry| Some(entry.key) == self.selected);
        let next = match (key, now) {
            (Key::First, _) => 0,
            (Key::Last, _) => last,
            // The first key shows where the selection is.
            (_, None) => 0,
            (Key::Up, Some(now)) => now.saturating_sub(1),
            (Key::PageUp, Some(now)) => now.saturating_sub(PAGE),
            (Key::PageDown, Some(now)) => (now + PAGE).min(last),
            (_, Some(now)) => (now + 1).min(last),
        };
        self.selected = shown.get(next).map(|entry| entry.key);
    }

    fn write(&mut self, key: Key) {
        match key {
            Key::Letter(letter) if self.filter.chars().count() < LONGEST => self.filter.push(letter),
            Key::Backspace => drop(self.filter.pop()),
            Key::Clear => self.filter.clear(),
            Key::Enter => self.is_typing = false,
            Key::Escape => {
                self.filter.clear();
                self.is_typing = false;
            }
            _ => {}
        }
    }

    /// Opens the selected row's detail, or else the first row's; closes it if it is open.
    fn open(&mut self, entries: &[Entry]) {
        let shown = self.shown(entries);
        let selected = shown.iter().find(|entry| Some(entry.key) == self.selected).or(shown.first());
        let Some(entry) = selected else { return };
        self.selected = Some(entry.key);
        let is_open = self.detail.as_ref().is_some_and(|detail| detail.key == entry.key);
        self.detail = (!is_open).then(|| Detail { key: entry.key, rates: VecDeque::new() });
    }

    /// Takes back what was chosen, one thing at a time.
    fn step_back(&mut self) {
        if self.detail.take().is_some() {
            return;
        }
        if self.filter.is_empty() {
            self.selected = None;
        }
        self.filter.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        keys::parse,
        seen::tests::{entries, number},
    };
    use super::*;

    fn after(keys: &str) -> View {
        let mut view = View::default();
        for key in parse(keys.as_bytes()) {
            assert_eq!(view.press(key, &entries()), Asked::Nothing, "{key:?}");
        }
        view
    }

    fn shown(view: &View) -> Vec<u32> {
        view.shown(&entries()).iter().map(|entry| entry.key.place).collect()
    }

    #[test]
    fn the_selection_goes_up_and_down_and_stays_with_its_row() {
        assert_eq!(shown(&View::default()), [2, 1, 3]);
        for (keys, selected) in [
            ("", None),
            ("\x1b[B", Some(2)),
            ("j\x1b[Bj\x1b[B", Some(3)),
            ("\x1b[F", Some(3)),
            ("\x1b[F\x1b[A", Some(1)),
            ("\x1b[Fk\x1b[H", Some(2)),
            ("\x1b[6~\x1b[6~", Some(3)),
            ("\x1b[6~\x1b[6~\x1b[5~", Some(2)),
            // By total, the first is another one.
            ("js", Some(2)),
            ("\x1b[Bsk", Some(1)),
            ("j\x1b", None),
        ] {
            assert_eq!(after(keys).selected.map(number), selected, "{keys:?}");
        }
    }

    #[test]
    fn a_filter_is_typed_and_taken_off() {
        for (keys, filter, is_typing, rows) in [
            ("/", "", true, vec![2, 1, 3]),
            ("/DROP 5001", "DROP 5001", true, vec![1]),
            ("/retr\r", "retr", false, vec![2]),
            ("/retrq\x7f", "retr", true, vec![2]),
            ("/nothing such", "nothing such", true, vec![]),
            ("/x\x15", "", true, vec![2, 1, 3]),
            ("/drop\x1b", "", false, vec![2, 1, 3]),
            ("/drop\r\x1b", "", false, vec![2, 1, 3]),
            ("/drop\r/ 53", "drop 53", true, vec![3]),
        ] {
            let view = after(keys);
            assert_eq!(
                (view.filter.as_str(), view.is_typing, shown(&view)),
                (filter, is_typing, rows),
                "{keys:?}"
            );
        }
        assert_eq!(after(&format!("/{}", "x".repeat(100))).filter.len(), LONGEST);
    }

    #[test]
    fn a_detail_stays_whatever_else_is_chosen() {
        for (keys, detail) in [
            ("\r", Some(2)),
            ("jj\r", Some(1)),
            ("jj\r\x1b[Bs/retr\r", Some(1)),
            ("jj\rj\r", Some(3)),
            ("jj\r\r", None),
            ("jj\r\x1b", None),
            ("/none\r\r", None),
        ] {
            assert_eq!(after(keys).detail.map(|detail| number(detail.key)), detail, "{keys:?}");
        }
    }

    #[test]
    fn a_detail_has_the_rates_of_a_minute() {
        let mut view = after("jj\r");
        for _ in 0..LOOKS + 3 {
            view.look(&entries(), 0.5);
        }
        assert_eq!(view.detail.unwrap().rates, vec![10; LOOKS]);
    }

    #[test]
    fn what_others_are_asked() {
        let mut view = View::default();
        assert_eq!(view.press(Key::Letter('p'), &[]), Asked::Pause);
        assert_eq!(view.press(Key::Letter('q'), &[]), Asked::Quit);
        // But in a filter they are letters.
        view.is_typing = true;
        assert_eq!(view.press(Key::Letter('q'), &[]), Asked::Nothing);
    }
}
