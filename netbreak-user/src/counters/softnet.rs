//! What CPUs counted while they took packets from devices: `/proc/net/softnet_stat`.

/// Sums over all CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Softnet {
    /// Packets handled.
    pub processed: u64,
    /// Packets dropped because a CPU's backlog was full (`enqueue_to_backlog` in net/core/dev.c).
    pub dropped: u64,
    /// Times that `net_rx_action` ran out of its budget with work left.
    pub squeezed: u64,
}

impl Softnet {
    /// One line a CPU, hexadecimal columns (`softnet_seq_show` in net/core/net-procfs.c); newer kernels add columns
    /// at the end. `None` when a line is not of that form.
    pub(super) fn parse(text: &str) -> Option<Softnet> {
        let mut sum = Softnet::default();
        for line in text.lines() {
            let mut columns = line.split_whitespace().map(|c| u64::from_str_radix(c, 16));
            sum.processed += columns.next()?.ok()?;
            sum.dropped += columns.next()?.ok()?;
            sum.squeezed += columns.next()?.ok()?;
        }
        Some(sum)
    }

    /// What was counted since `before`; `None` when a counter went back (a CPU was taken away, or its 32 bits
    /// were used up).
    pub fn since(&self, before: &Softnet) -> Option<Softnet> {
        Some(Softnet {
            processed: self.processed.checked_sub(before.processed)?,
            dropped: self.dropped.checked_sub(before.dropped)?,
            squeezed: self.squeezed.checked_sub(before.squeezed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_added_up() {
        let text = "00000010 00000002 00000000 00000000\n000000ff 00000001 00000003 00000000 0000000c\n";
        assert_eq!(Softnet::parse(text), Some(Softnet { processed: 0x10f, dropped: 3, squeezed: 3 }));
    }

    #[test]
    fn another_form_is_not_guessed_at() {
        assert_eq!(Softnet::parse("00000010 zz 00000000\n"), None);
        assert_eq!(Softnet::parse("00000010\n"), None);
    }

    #[test]
    fn a_counter_that_went_back_gives_no_difference() {
        let before = Softnet { processed: 9, dropped: 1, squeezed: 0 };
        let after = Softnet { processed: 12, dropped: 1, squeezed: 2 };
        assert_eq!(after.since(&before), Some(Softnet { processed: 3, dropped: 0, squeezed: 2 }));
        assert_eq!(before.since(&after), None);
    }
}
