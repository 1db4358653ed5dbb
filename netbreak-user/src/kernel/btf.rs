//! The running kernel's type information: where a struct's member lies, how many arguments a tracepoint has, what an
//! enum's values are called. Nothing of it is known at build time, since it differs between kernels.

use std::{collections::HashMap, path::Path, sync::OnceLock};

use btf_rs::{Btf, Struct, Type};
use regex::Regex;

/// Where every kernel with BTF shows it.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// BTF that cannot be read, or that lacks what is needed.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The kernel has none, or it may not be read.
    #[error(
        "cannot read {VMLINUX}: {0}. The kernel must be built with CONFIG_DEBUG_INFO_BTF=y, and /sys be mounted"
    )]
    Unreadable(String),
    /// A struct is not there at all.
    #[error("this kernel's BTF has no struct {0}")]
    NoStruct(String),
    /// A struct is there, a member is not.
    #[error("this kernel's BTF has no member {member} in struct {structure}")]
    NoMember {
        /// The struct's name.
        structure: String,
        /// The member's name, or path of names.
        member: String,
    },
    /// Two structs of this name differ in where the member lies.
    #[error("this kernel's BTF has several structs {structure} that differ in {member}")]
    Ambiguous {
        /// The struct's name.
        structure: String,
        /// The member's name, or path of names.
        member: String,
    },
    /// A bit field has no byte offset.
    #[error("{structure}.{member} is a bit field in this kernel")]
    BitField {
        /// The struct's name.
        structure: String,
        /// The member's name, or path of names.
        member: String,
    },
}

/// What a start looks up. To look for one name is to go through all types, so these are looked for at once; any other
/// name is found as well.
const LOOKED_UP: &str = "^(bpf_prog_aux|datapath|dp_upcall_info|dst_entry|fib6_result|fib6_table|flowi4|flowi6|inet_sock|net|net_device|nf_conn\
    |nf_conntrack_tuple|nf_conntrack_tuple_hash|sk_buff|sk_rst_reason|skb_drop_reason|skb_shared_info|sock|tcp_skb_cb\
    |btf_trace_(consume_skb|fib6?_table_lookup|icmp_send|inet_sk_error_report|inet_sock_set_state|kfree_skb|napi_gro_receive_entry\
    |net_dev_queue|net_dev_start_xmit|netif_receive_skb|netif_rx|ovs_dp_upcall|skb_copy_datagram_iovec|tcp_receive_reset\
    |tcp_retransmit_skb|tcp_retransmit_synack|tcp_send_reset))$";

/// The kernel's BTF.
pub struct KernelBtf {
    btf: Btf,
    /// The numbers of the types of those names that were looked for at once.
    known: HashMap<String, Vec<u32>>,
    /// These names; `None` if none were.
    looked_up: Option<Regex>,
    /// The kernel's own, parsed, for those of its modules; `None` if that failed.
    base: OnceLock<Option<Btf>>,
}

impl KernelBtf {
    /// The running kernel's. It is mapped where the kernel allows that (6.16 and later), since only a few of its
    /// hundred thousand types are looked at; else it is read and parsed.
    pub fn open() -> Result<Self, BtfError> {
        let unreadable = |error: btf_rs::Error| BtfError::Unreadable(error.to_string());
        let btf = Btf::from_file_with_backend(VMLINUX, btf_rs::Backend::Mmap)
            .or_else(|_| Btf::from_file(VMLINUX))
            .map_err(unreadable)?;
        let mut known: HashMap<String, Vec<u32>> = HashMap::new();
        let names = Regex::new(LOOKED_UP).map_err(|error| BtfError::Unreadable(error.to_string()))?;
        for id in btf.resolve_ids_by_regex(&names).map_err(unreadable)? {
            let named = btf.resolve_type_by_id(id).map_err(unreadable)?;
            let Some(name) = named.as_btf_type().and_then(|named| btf.resolve_name(named).ok()) else {
                continue;
            };
            known.entry(name).or_default().push(id);
        }
        Ok(Self { btf, known, looked_up: Some(names), base: OnceLock::new() })
    }

    /// The numbers of the types of this name.
    fn numbers(&self, name: &str) -> Vec<u32> {
        match &self.looked_up {
            Some(names) if names.is_match(name) => self.known.get(name).cloned().unwrap_or_default(),
            _ => self.btf.resolve_ids_by_name(name).unwrap_or_default(),
        }
    }

    /// The types of this name, by number.
    fn named(&self, name: &str) -> impl Iterator<Item = (u32, Type)> {
        self.numbers(name).into_iter().filter_map(|id| Some((id, self.btf.resolve_type_by_id(id).ok()?)))
    }

    /// A module's, on top of the kernel's; `None` when the module is not loaded or has no BTF.
    pub fn module(&self, name: &str) -> Option<Self> {
        let path = Path::new("/sys/kernel/btf").join(name);
        if !path.exists() {
            return None;
        }
        // Split BTF needs a base that was parsed, not mapped.
        let base = self.base.get_or_init(|| Btf::from_file(VMLINUX).ok()).as_ref()?;
        let btf = Btf::from_split_file(path, base).ok()?;
        Some(Self { btf, known: HashMap::new(), looked_up: None, base: OnceLock::new() })
    }

    /// Byte offset of `path` (members joined by dots) in `structure`. Members of anonymous structs and unions are found
    /// by their own name.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        let mut found: Option<u32> = None;
        let mut known = false;
        for (_, candidate) in self.named(structure) {
            let (Type::Struct(fields) | Type::Union(fields)) = candidate else { continue };
            known = true;
            let Some(bits) = self.bits_to(&fields, path) else { continue };
            if bits % 8 != 0 {
                return Err(BtfError::BitField { structure: structure.to_owned(), member: path.to_owned() });
            }
            if found.is_some_and(|other| other != bits / 8) {
                return Err(BtfError::Ambiguous { structure: structure.to_owned(), member: path.to_owned() });
            }
            found = Some(bits / 8);
        }
        match found {
            Some(offset) => Ok(offset),
            None if known => {
                Err(BtfError::NoMember { structure: structure.to_owned(), member: path.to_owned() })
            }
            None => Err(BtfError::NoStruct(structure.to_owned())),
        }
    }

    /// Whether `structure` is there and has `member`, a bit field too.
    pub fn has_member(&self, structure: &str, member: &str) -> bool {
        self.named(structure).any(|(_, candidate)| match candidate {
            Type::Struct(fields) | Type::Union(fields) => self.bits_to(&fields, member).is_some(),
            _ => false,
        })
    }

    fn bits_to(&self, fields: &Struct, path: &str) -> Option<u32> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        for member in &fields.members {
            let name = self.btf.resolve_name(member).ok()?;
            if name == first {
                return match rest {
                    None => Some(member.bit_offset()),
                    Some(rest) => Some(member.bit_offset() + self.bits_to(&self.aggregate(member)?, rest)?),
                };
            }
            if name.is_empty()
                && let Some(inner) = self.aggregate(member)
                && let Some(bits) = self.bits_to(&inner, path)
            {
                return Some(member.bit_offset() + bits);
            }
        }
        None
    }

    /// The struct or union that is a member's type, behind typedefs and qualifiers.
    fn aggregate(&self, member: &btf_rs::Member) -> Option<Struct> {
        self.btf.chained_type_iter(member).find_map(|chained| match chained {
            Type::Struct(fields) | Type::Union(fields) => Some(fields),
            _ => None,
        })
    }

    /// How many arguments the tracepoint `name` hands to a raw program; `None` when the kernel has no such tracepoint.
    /// From the typedef `btf_trace_<name>`, a pointer to a function whose first parameter is the tracepoint's own data.
    pub fn tracepoint_arguments(&self, name: &str) -> Option<u32> {
        self.named(&typedef_of(name)).find_map(|(_, candidate)| {
            let Type::Typedef(typedef) = candidate else { return None };
            self.btf.chained_type_iter(&typedef).find_map(|chained| match chained {
                Type::FuncProto(prototype) => (prototype.parameters.len() as u32).checked_sub(1),
                _ => None,
            })
        })
    }

    /// The number of the typedef that stands for a tracepoint; `None` when the kernel has no such tracepoint.
    pub(super) fn tracepoint_number(&self, name: &str) -> Option<u32> {
        self.named(&typedef_of(name)).find_map(|(id, kind)| matches!(kind, Type::Typedef(_)).then_some(id))
    }

    /// The values of the enum `name`; empty when there is no such enum.
    pub fn enumeration(&self, name: &str) -> Vec<(u32, String)> {
        let mut values = Vec::new();
        for (_, candidate) in self.named(name) {
            match candidate {
                Type::Enum(variants) => {
                    for variant in &variants.members {
                        values.extend(self.btf.resolve_name(variant).ok().map(|name| (variant.val(), name)));
                    }
                }
                Type::Enum64(variants) => {
                    for variant in &variants.members {
                        values.extend(
                            self.btf.resolve_name(variant).ok().map(|name| (variant.val() as u32, name)),
                        );
                    }
                }
                _ => {}
            }
        }
        values
    }
}

/// `__DEFINE_TRACE` in include/trace/bpf_probe.h.
pub(super) fn typedef_of(tracepoint: &str) -> String {
    format!("btf_trace_{tracepoint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_members_through_anonymous_ones_and_paths() {
        let btf = KernelBtf::open().expect("the test machine has BTF");
        // `dev` lies in a union in an anonymous struct, after the two pointers of a list.
        assert_eq!(btf.offset("sk_buff", "dev").unwrap(), 16);
        let common = btf.offset("sock", "__sk_common").unwrap();
        let net = btf.offset("sock_common", "skc_net").unwrap();
        assert_eq!(btf.offset("sock", "__sk_common.skc_net.net").unwrap(), common + net);
    }

    #[test]
    fn says_which_name_is_missing() {
        let btf = KernelBtf::open().expect("the test machine has BTF");
        let error = btf.offset("sk_buff", "no_such_member").unwrap_err().to_string();
        assert!(error.contains("no_such_member") && error.contains("sk_buff"), "{error}");
        let error = btf.offset("no_such_struct", "x").unwrap_err().to_string();
        assert!(error.contains("no_such_struct"), "{error}");
    }

    #[test]
    fn tells_whether_a_member_is_there() {
        let btf = KernelBtf::open().expect("the test machine has BTF");
        assert!(btf.has_member("sk_buff", "dev"));
        // A bit field, which has no byte offset.
        assert!(btf.has_member("sk_buff", "pkt_type"));
        assert!(!btf.has_member("sk_buff", "no_such_member"));
        assert!(!btf.has_member("no_such_struct", "dev"));
    }

    #[test]
    fn knows_tracepoints_and_enums() {
        let btf = KernelBtf::open().expect("the test machine has BTF");
        assert!(matches!(btf.tracepoint_arguments("kfree_skb"), Some(2..=4)));
        assert_eq!(btf.tracepoint_arguments("no_such_tracepoint"), None);
        assert!(btf.enumeration("bpf_func_id").iter().any(|(_, name)| name == "BPF_FUNC_ktime_get_ns"));
        assert!(btf.enumeration("no_such_enum").is_empty());
    }
}
