//! Which modules a guest gets: those of the network, and whatever they need.

use std::collections::{BTreeMap, BTreeSet};

/// Drivers of devices without hardware, by their files or directories.
const DEVICES: [&str; 14] = [
    "bareudp", "bonding", "dummy", "geneve", "ifb", "ipvlan", "macvlan", "macvtap", "nlmon", "tap", "tun",
    "veth", "vrf", "vxlan",
];

/// What lets a guest write to the disk that its files come out on.
const DISK: [&str; 2] = ["virtio_blk", "virtio_pci"];

/// The files of modules.dep (`kernel/a.ko: kernel/b.ko kernel/c.ko`, a line a module) that a guest gets: what lies in
/// `kernel/net`, the devices that labs are made of, the disk, and what they need.
pub fn wanted(modules_dep: &str) -> BTreeSet<&str> {
    let needs: BTreeMap<&str, &str> = modules_dep.lines().filter_map(|line| line.split_once(':')).collect();
    let modules = needs.iter().filter(|(module, _)| is_wanted(module));
    // depmod lists what is needed indirectly too.
    modules.flat_map(|(module, needs)| needs.split_whitespace().chain([*module])).collect()
}

fn is_wanted(module: &str) -> bool {
    let is_device = |file: &str| {
        let name = file.split(['.', '/']).next();
        name.is_some_and(|name| DEVICES.contains(&name))
    };
    let name = module.rsplit('/').next().and_then(|file| file.split('.').next());
    let is_for_disk = name.is_some_and(|name| DISK.contains(&name));
    is_for_disk
        || module.starts_with("kernel/net/")
        || module.strip_prefix("kernel/drivers/net/").is_some_and(is_device)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES_DEP: &str = "kernel/net/sched/sch_netem.ko:\nkernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko\n\
        kernel/net/openvswitch/openvswitch.ko: kernel/net/nsh/nsh.ko kernel/lib/libcrc32c.ko\n\
        kernel/net/nsh/nsh.ko:\nkernel/lib/libcrc32c.ko:\nkernel/lib/crc16.ko:\n\
        kernel/drivers/net/geneve.ko: kernel/net/ipv4/udp_tunnel.ko\nkernel/drivers/net/vxlan/vxlan.ko:\n\
        kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko\n\
        kernel/drivers/net/ethernet/intel/e1000/e1000.ko:\nkernel/drivers/net/tunnels.ko:\n";

    #[test]
    fn the_network_and_what_it_needs() {
        let wanted: Vec<_> = wanted(MODULES_DEP).into_iter().collect();
        assert_eq!(
            wanted,
            [
                "kernel/drivers/net/geneve.ko",
                "kernel/drivers/net/vxlan/vxlan.ko",
                "kernel/drivers/virtio/virtio.ko",
                "kernel/drivers/virtio/virtio_pci.ko",
                "kernel/lib/libcrc32c.ko",
                "kernel/net/ipv4/udp_tunnel.ko",
                "kernel/net/nsh/nsh.ko",
                "kernel/net/openvswitch/openvswitch.ko",
                "kernel/net/sched/sch_netem.ko",
            ]
        );
    }
}
