//! `netbreak demo`.

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  netbreak demo
  netbreak demo --list
  netbreak demo --fault blackhole --html demo.html
  netbreak demo --lab ovn --fault vswitchd-kill
  netbreak demo --lab ovn-cluster --fault switch-restart";

/// Arguments of `netbreak demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Which lab to build; all but the first need `cargo xtask setup --lab ovn`
    #[arg(long, value_enum, value_name = "LAB", default_value = "plain")]
    pub lab: DemoLab,
    /// Which fault to inject; --list shows them
    #[arg(long, value_name = "NAME")]
    pub fault: Option<String>,
    /// List the faults of the lab
    #[arg(long)]
    pub list: bool,
    /// Where the probes of the labs `ovs` and `ovn` leave from, to visit the others
    #[arg(long, value_enum, value_name = "PLACE", default_value = "pod1")]
    pub from: DemoFrom,
    /// What the device ovn0 of the lab `ovn-cluster` is
    #[arg(long, value_enum, value_name = "TYPE", default_value = "internal")]
    pub ovn0: DemoOvn0,
    /// Time between two attempts of a probe of the lab `ovn-cluster` [default: 20ms]
    #[arg(long, value_name = "TIME")]
    pub interval: Option<String>,
    /// How long to probe [default: 8s; with ovn-cluster until all has been well again for 2s, at most 60s]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Show the way of the probes' packets, stage by stage, and where lost ones left it
    #[arg(long)]
    pub path: bool,
    /// Write the report as JSON; `-` is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<String>,
    /// Write the report as a page with pictures, one file that needs no network; `-` is standard output
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<String>,
}

/// A lab of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoLab {
    /// A client, a router and a server in network namespaces
    Plain,
    /// Two pods and a node on Open vSwitch, userspace datapath
    Ovs,
    /// The same under OVN, with a router and a join network, as in kube-ovn
    Ovn,
    /// Two nodes under OVN and a host outside, over the kernel's datapath if openvswitch is loaded: the eleven rows of kube-ovn's tables
    OvnCluster,
}

/// Where the probes of a lab with Open vSwitch leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoFrom {
    /// A pod: its packets reach the switch by a veth
    Pod1,
    /// The node: its packets reach the switch by ovn0
    Node,
}

/// What a node's `ovn0` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoOvn0 {
    /// An internal port of the switch, as kube-ovn makes it
    Internal,
    /// One end of a veth pair, whose other end is a port of the switch
    Veth,
}
