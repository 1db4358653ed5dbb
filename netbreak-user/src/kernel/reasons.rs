//! Names of drop and reset reasons. Their numbers differ between kernels, so all of them come from BTF.

use std::collections::HashMap;

use super::{btf::KernelBtf, ovs::OPENVSWITCH};

/// Reason numbers to names.
#[derive(Debug, Default)]
pub struct Reasons {
    drop: HashMap<u32, String>,
    reset: HashMap<u32, String>,
}

impl Reasons {
    /// Reads the kernel's enums, and openvswitch's when that module is loaded.
    pub fn read(btf: &KernelBtf) -> Self {
        let mut drop: HashMap<u32, String> = named(btf, "skb_drop_reason", "SKB_DROP_REASON_");
        if let Some(module) = btf.module(OPENVSWITCH) {
            // Its values carry the subsystem's number in their upper half already (`enum ovs_drop_reason`).
            drop.extend(module.enumeration("ovs_drop_reason"));
        }
        Self { drop, reset: named(btf, "sk_rst_reason", "SK_RST_REASON_") }
    }

    /// The name of a `kfree_skb` reason; its number in hexadecimal when this kernel's BTF does not tell; `None` on
    /// kernels whose `kfree_skb` has no reason.
    pub fn drop(&self, reason: u32) -> Option<String> {
        if self.drop.is_empty() {
            return None;
        }
        Some(self.drop.get(&reason).cloned().unwrap_or_else(|| format!("{reason:#x}")))
    }

    /// The name of a `tcp_send_reset` reason; `None` on kernels that have none.
    pub fn reset(&self, reason: u32) -> Option<String> {
        self.reset.get(&reason).cloned()
    }

    /// The number of a drop reason's name.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.drop.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
    }
}

fn named(btf: &KernelBtf, enumeration: &str, prefix: &str) -> HashMap<u32, String> {
    btf.enumeration(enumeration)
        .into_iter()
        .map(|(number, name)| (number, name.strip_prefix(prefix).unwrap_or(&name).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_numbers_stay_numbers_and_absent_reasons_absent() {
        let reasons =
            Reasons { drop: HashMap::from([(2, "NOT_SPECIFIED".to_owned())]), reset: HashMap::new() };
        assert_eq!(reasons.drop(2).as_deref(), Some("NOT_SPECIFIED"));
        assert_eq!(reasons.drop(0x30001).as_deref(), Some("0x30001"));
        assert_eq!(Reasons::default().drop(2), None);
        assert_eq!(reasons.number("NOT_SPECIFIED"), Some(2));
    }
}
