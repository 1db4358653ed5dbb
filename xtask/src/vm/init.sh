#!/usr/bin/dash
# PID 1 of a guest: runs the scenario that the kernel's command line names, says its verdict in exactly one line, hands out
# its files, and ends the machine. dash, because busybox's own shell prefers its built-in ip and ping.
export PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root
/usr/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts none /dev/pts
mount -t tmpfs none /dev/shm
mount -t tmpfs none /run
# Not one of its own over /tmp: a checkout may lie there, and with it the place of netbreak.
chmod 1777 /tmp
mkdir -p /run/netns /run/lock
mount -t tracefs none /sys/kernel/tracing
mount -t bpf none /sys/fs/bpf
ip link set lo up
say() { echo "netbreak-vm: $*"; }
say "$(uname -r) is up after $(cut -d' ' -f1 /proc/uptime) s"

# NETBREAK_REQUIRE: what a scenario lacks fails it. NETBREAK_OUT: what lies in there comes out of the guest.
export NETBREAK_REQUIRE=1 NETBREAK_OUT=/out RUST_BACKTRACE=1
cd /root
/usr/libexec/scenarios --exact "$SCENARIO" --nocapture --test-threads=1
status=$?

# The host reads the disk as an archive.
modprobe -a virtio_pci virtio_blk 2>/dev/null # newer kernels have the first of them built in
tar -C /out -c . | cat > /dev/vda
# A kernel that has something to say must not say it in the middle of this line.
dmesg -n 1
if [ $status = 0 ]; then verdict=passed; else verdict="failed: exit status $status"; fi
say "ends after $(cut -d' ' -f1 /proc/uptime) s"
printf '\nnetbreak-vm: verdict %s\n' "$verdict"
poweroff -f
