//! A container as a node's runtime would make it of a manifest, by runc.
//!
//! What is left out: limits (no cgroup controllers may be delegated here), and profiles of seccomp and AppArmor.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::{Capabilities, PodSpec};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::image::{self, Image};
use crate::manifests::container;

/// A bundle, and the container of it while it runs. Dropping it removes both.
pub struct Container {
    directory: TempDir,
    id: String,
    /// What the image says of itself.
    pub image: Image,
    config: Value,
}

impl Container {
    /// The container of `pod`, from the image `archive`. `network` is the network namespace that a runtime would have
    /// made for the pod, and `env` are the values of its variables; a pod on the host's network takes no `network`.
    pub fn new(pod: &PodSpec, archive: &Path, network: Option<&Path>, env: &[(&str, &str)]) -> Container {
        let directory = tempfile::tempdir().unwrap();
        let rootfs = directory.path().join("rootfs");
        fs::create_dir(&rootfs).unwrap();
        let image = image::unpack(archive, &rootfs);
        let name = directory.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        let config = config(pod, &image, network, env);
        Container { directory, id: format!("netbreak-test-{name}"), image, config }
    }

    /// `runc run` of it with this command line, as `kubectl exec` gives it; without any, with that of the manifest.
    pub fn command(&mut self, argv: &[&str]) -> Command {
        if !argv.is_empty() {
            self.config["process"]["args"] = json!(argv);
        }
        fs::write(self.directory.path().join("config.json"), self.config.to_string()).unwrap();
        let mut command = self.runc();
        command.args(["run", "--bundle"]).arg(self.directory.path()).arg(&self.id).stdin(Stdio::null());
        command
    }

    fn runc(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.directory.path().join("state"));
        command
    }

    /// Mounts a file of ours, as a runtime mounts its own /etc/hosts and /etc/resolv.conf.
    pub fn add_file(&mut self, source: &Path, destination: &str) {
        self.config["mounts"].as_array_mut().unwrap().push(json!({
            "destination": destination, "type": "bind", "source": source, "options": ["bind", "ro"]
        }));
    }

    /// Whether its process runs and catches SIGTERM.
    pub fn handles_sigterm(&self) -> bool {
        let state = self.runc().args(["state", &self.id]).stderr(Stdio::null()).output().unwrap();
        let Ok(state) = serde_json::from_slice::<Value>(&state.stdout) else { return false };
        let status = fs::read_to_string(format!("/proc/{}/status", state["pid"])).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        state["status"] == "running" && caught & (1 << (libc::SIGTERM - 1)) != 0
    }

    /// Sends SIGTERM to its process, as the end of a pod does.
    pub fn terminate(&self) {
        assert!(self.runc().args(["kill", &self.id, "TERM"]).status().unwrap().success());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It fails for a container that is gone, which is as well.
        let _ = self.runc().args(["delete", "--force", &self.id]).stderr(Stdio::null()).status();
    }
}

fn config(pod: &PodSpec, image: &Image, network: Option<&Path>, env: &[(&str, &str)]) -> Value {
    let container = container(pod);
    let security = container.security_context.as_ref().unwrap();
    let privileged = security.privileged == Some(true);
    let capabilities =
        if privileged { everything() } else { granted(security.capabilities.as_ref().unwrap()) };
    let of_pod = pod.security_context.as_ref();
    let user = of_pod.and_then(|s| s.run_as_user).unwrap_or(0);
    let args = container.args.iter().flatten().map(|arg| {
        env.iter().fold(arg.clone(), |arg, (name, value)| arg.replace(&format!("$({name})"), value))
    });
    let sysctls = of_pod.and_then(|s| s.sysctls.as_ref()).into_iter().flatten();
    let mut config = json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": security.read_only_root_filesystem == Some(true)},
        "process": {
            "terminal": false, "cwd": "/", "user": {"uid": user, "gid": user},
            "args": image.entrypoint.iter().cloned().chain(args).collect::<Vec<_>>(),
            "env": image.env,
            "noNewPrivileges": security.allow_privilege_escalation == Some(false),
            // A user who is not root has none of them, as none is ambient.
            "capabilities": {
                "bounding": capabilities,
                "effective": if user == 0 { capabilities.clone() } else { vec![] },
                "permitted": if user == 0 { capabilities.clone() } else { vec![] },
            },
        },
        "linux": {
            "namespaces": namespaces(pod, network),
            "sysctl": sysctls.map(|s| (s.name.clone(), json!(s.value))).collect::<serde_json::Map<_, _>>(),
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options":
                ["nosuid", "noexec", "nodev", if privileged { "rw" } else { "ro" }]},
        ],
    });
    if !privileged {
        // containerd's defaults.
        config["linux"]["maskedPaths"] = json!([
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi"
        ]);
        config["linux"]["readonlyPaths"] =
            json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
    }
    config["mounts"].as_array_mut().unwrap().extend(volumes(pod));
    config
}

/// The capabilities that this process could hand down: more is not to be had.
fn everything() -> Vec<String> {
    let permitted = rustix::thread::capabilities(None).unwrap().permitted;
    permitted.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}

fn granted(capabilities: &Capabilities) -> Vec<String> {
    assert_eq!(capabilities.drop.as_deref(), Some(&["ALL".to_owned()][..]));
    capabilities.add.iter().flatten().map(|name| format!("CAP_{name}")).collect()
}

/// A pod shares with the host what it asks for; on the host's network it has the host's name too.
fn namespaces(pod: &PodSpec, network: Option<&Path>) -> Vec<Value> {
    let mut own = vec![json!({"type": "mount"}), json!({"type": "ipc"})];
    if pod.host_network != Some(true) {
        own.push(json!({"type": "network", "path": network.unwrap()}));
        own.push(json!({"type": "uts"}));
    }
    if pod.host_pid != Some(true) {
        own.push(json!({"type": "pid"}));
    }
    own
}

fn volumes(pod: &PodSpec) -> Vec<Value> {
    let mounts = container(pod).volume_mounts.iter().flatten();
    mounts
        .map(|mount| {
            let volume = pod.volumes.iter().flatten().find(|v| v.name == mount.name).unwrap();
            let host = volume.host_path.as_ref().unwrap();
            if host.type_.as_deref() == Some("DirectoryOrCreate") {
                fs::create_dir_all(&host.path).unwrap();
            }
            let access = if mount.read_only == Some(true) { "ro" } else { "rw" };
            let propagation = match mount.mount_propagation.as_deref() {
                Some("HostToContainer") => "rslave",
                _ => "rprivate",
            };
            json!({"destination": mount.mount_path, "type": "bind", "source": host.path,
                   "options": ["rbind", access, propagation]})
        })
        .collect()
}
