//! Reading the ledger of somebody else's run: nobody tells when an attempt is over, so every entry is read again and
//! again, and what has changed since is news.

use netbreak_common::{HOPS, Passage};

use super::registry::Room;

/// Attempts that are remembered: this bounds memory, at some 100 bytes each.
const MOST: usize = 1_000_000;

/// What was read of every entry so far.
#[derive(Debug, Clone)]
pub struct Sweep {
    room: Room,
    /// Namespaces whose hops count; none = all.
    only: Vec<u32>,
    /// By entry: attempt and hops.
    read: Vec<(u64, u32)>,
    /// By probe: the youngest attempt, and 1; before the look that goes on, and now.
    youngest: Vec<(u64, u64)>,
    /// Attempts that a younger one may have written over before they were read, or that found no room here.
    pub missed: u64,
}

impl Sweep {
    /// Nothing was read yet. Hops in other namespaces than `only` (inode numbers) do not count, if it names any.
    pub fn new(room: Room, only: Vec<u32>) -> Self {
        let read = vec![(0, 0); room.entries() as usize];
        Self { room, only, read, youngest: vec![(0, 0); room.probes as usize], missed: 0 }
    }

    /// Was anything seen of this probe?
    pub(super) fn is_active(&self, probe: u32) -> bool {
        self.youngest.get(probe as usize).is_some_and(|(_, now)| *now > 0)
    }

    /// The attempt whose ways are to be kept, of what stands at an entry's two legs now; `None` if that was read before.
    /// `kept` is how many are.
    pub(super) fn news(
        &mut self,
        probe: u32,
        entry: u32,
        legs: &mut [Option<Passage>; 2],
        kept: usize,
    ) -> Option<u64> {
        let mut is_new = false;
        for (leg, passage) in (entry as usize..).zip(legs.iter_mut()) {
            let Some(found) = passage else { continue };
            let now = (found.attempt, found.count);
            is_new |= now != std::mem::replace(self.read.get_mut(leg)?, now);
            if !self.only.is_empty() {
                here(found, &self.only);
            }
            if found.count == 0 {
                *passage = None;
            }
        }
        let mark = legs.iter().flatten().map(|passage| passage.attempt).max()?;
        if !is_new {
            return None;
        }
        let (_, youngest) = self.youngest.get_mut(probe as usize)?;
        *youngest = (*youngest).max(mark);
        if kept >= MOST {
            self.missed += 1;
            return None;
        }
        mark.checked_sub(1)
    }

    /// A look at this probe is over.
    pub(super) fn looked(&mut self, probe: u32) {
        let Some((before, now)) = self.youngest.get_mut(probe as usize) else { return };
        if *before > 0 {
            self.missed += (*now - *before).saturating_sub(self.room.attempts.into());
        } else if *now > u64::from(self.room.attempts) {
            // Seen for the first time: where no entry is free, there may have been others before.
            let entries = self.room.attempts as usize * 2;
            let entries = self.read.chunks_exact(entries).nth(probe as usize).unwrap_or_default();
            let is_full = entries.chunks_exact(2).all(|legs| legs.iter().any(|(attempt, _)| *attempt > 0));
            self.missed += u64::from(is_full);
        }
        *before = *now;
    }
}

/// Leaves only the hops in these namespaces.
fn here(passage: &mut Passage, only: &[u32]) {
    let count = passage.count as usize;
    let hops: Vec<_> = (count.saturating_sub(HOPS)..count)
        .map(|number| passage.hops[number % HOPS])
        .filter(|hop| only.contains(&hop.netns))
        .collect();
    passage.count = hops.len() as u32;
    passage.hops[..hops.len()].copy_from_slice(&hops);
}

#[cfg(test)]
mod tests {
    use netbreak_common::Hop;

    use super::*;

    const ROOM: Room = Room { probes: 2, attempts: 4 };

    fn passage(attempt: u64, netns: &[u32]) -> Option<Passage> {
        let mut passage =
            Passage { attempt: attempt + 1, count: netns.len() as u32, pad: 0, hops: [Hop::default(); HOPS] };
        for (number, netns) in netns.iter().enumerate() {
            passage.hops[number % HOPS] = Hop { time: number as u64, netns: *netns, ..Hop::default() };
        }
        Some(passage)
    }

    #[test]
    fn only_what_has_changed_is_news() {
        let mut sweep = Sweep::new(ROOM, Vec::new());
        let mut news = |legs: [Option<Passage>; 2]| sweep.news(0, 6, &mut legs.clone(), 0);
        assert_eq!(news([passage(3, &[7]), None]), Some(3));
        assert_eq!(news([passage(3, &[7]), None]), None);
        assert_eq!(news([passage(3, &[7]), passage(3, &[7])]), Some(3));
        assert_eq!(news([passage(3, &[7, 7]), passage(3, &[7])]), Some(3));
        // An unused entry, then a younger attempt.
        assert_eq!(news([Some(Passage { attempt: 0, ..passage(0, &[]).unwrap() }), None]), None);
        assert_eq!(news([passage(7, &[7]), passage(3, &[7])]), Some(7));
        assert!(sweep.is_active(0) && !sweep.is_active(1));
    }

    #[test]
    fn what_was_written_over_unread_is_counted() {
        let mut sweep = Sweep::new(ROOM, Vec::new());
        for (attempt, missed) in [(1_000, 0), (1_003, 0), (1_007, 0), (1_012, 1), (1_100, 85)] {
            sweep.news(1, 8, &mut [passage(attempt, &[7]), None], 0);
            sweep.looked(1);
            assert_eq!(sweep.missed, missed, "{attempt}");
        }
        assert_eq!(sweep.news(1, 8, &mut [passage(1_101, &[7]), None], MOST), None);
        assert_eq!(sweep.missed, 86);
        // The first look finds no free entry: who knows what there was before.
        let mut sweep = Sweep::new(ROOM, Vec::new());
        for attempt in 100..104 {
            assert_eq!(sweep.missed, 0);
            sweep.news(0, attempt as u32 % 4 * 2, &mut [passage(attempt, &[7]), None], 0);
        }
        sweep.looked(0);
        assert_eq!(sweep.missed, 1);
    }

    #[test]
    fn hops_elsewhere_do_not_count() {
        let mut sweep = Sweep::new(ROOM, vec![7]);
        let mut legs = [passage(3, &[6, 7, 0, 7, 8]), None];
        assert_eq!(sweep.news(0, 6, &mut legs, 0), Some(3));
        let [Some(left), _] = legs else { panic!() };
        let times: Vec<u64> = left.hops[..left.count as usize].iter().map(|hop| hop.time).collect();
        assert_eq!(times, [1, 3]);
        assert_eq!(sweep.news(0, 4, &mut [passage(2, &[6]), None], 0), None);
        let mut legs = [passage(6, &[6]), passage(2, &[7])];
        assert_eq!((sweep.news(0, 4, &mut legs, 0), legs[0]), (Some(2), None));
        let long: Vec<u32> = (0..HOPS as u32 + 9).map(|number| 7 + number % 2).collect();
        let mut legs = [passage(5, &long), None];
        assert_eq!(sweep.news(0, 2, &mut legs, 0), Some(5));
        assert!(legs[0].unwrap().hops[..HOPS / 2].iter().all(|hop| hop.netns == 7));
    }
}
