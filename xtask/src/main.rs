//! Tasks of netbreak's developers and users: `cargo xtask --help`.

mod bench;
mod build_ebpf;
mod ci;
mod cmd;
mod demo;
mod image;
mod lab;
mod setup;
mod suite;
mod test;
mod vm;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use setup::Wanted;

/// Set up, build, test and measure netbreak. Every task does the set-up that it needs.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Install what is missing: an eBPF toolchain, bpf-linker, the tools of the labs
    Setup {
        /// Also the tools that `bench` compares with
        #[arg(long)]
        bench: bool,
        /// Also the tools that build and try the container image
        #[arg(long)]
        image: bool,
        /// Also what the labs of `netbreak demo --lab` need: `ovn` is Open vSwitch and OVN, for both labs with them
        #[arg(long, value_enum)]
        lab: Option<Lab>,
        /// Also the browser that the tests open a report's page in, tshark for files of packets, and Prometheus
        #[arg(long)]
        browser: bool,
        /// Also what runs virtual machines
        #[arg(long)]
        vm: bool,
    },
    /// Build the eBPF object that netbreak embeds
    BuildEbpf {
        /// With log lines from the kernel side; print them with a netbreak built with `--features log`
        #[arg(long)]
        log: bool,
    },
    /// Build netbreak and run its demo: a lab, a break, a verdict
    Demo {
        /// Arguments of `netbreak demo`; `--ovn` is short for `--lab ovn-cluster`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build the container image: one static binary in target/image/netbreak.tar
    Image {
        /// Only its files, the binary and its other names, in target/image/root
        #[arg(long)]
        binary: bool,
    },
    /// Build everything and run every test
    Test {
        /// Arguments of `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure netbreak's cost, beside other tools where there are any; docs/benchmarks.md explains the figures
    Bench {
        /// What to measure; everything if none is named
        #[arg(value_enum)]
        names: Vec<bench::Name>,
    },
    /// Break the lab in every way that is known, and see what netbreak makes of it
    #[command(subcommand)]
    Lab(LabTask),
    /// Run scenarios in virtual machines, on kernels from 5.10 to the newest; docs/vm.md explains them
    Vm(vm::Options),
    /// What must pass before a merge: test, formatting, lints, licences
    Ci {
        /// Leave the tests out
        #[arg(long)]
        no_test: bool,
    },
}

/// A lab that needs packages of its own.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Lab {
    /// Open vSwitch and OVN
    Ovn,
}

#[derive(clap::Subcommand)]
enum LabTask {
    /// How many lost attempts are located rightly, wrongly or not at all; fails when anything is wrong
    Score {
        /// A part of the names of the faults to try; all if there is none
        filter: Option<String>,
    },
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Setup { bench, image, lab, browser, vm } => {
            setup::run(Wanted { bench, image, ovn: lab.is_some(), browser, vm })
        }
        Task::BuildEbpf { log } => build_ebpf::run(log),
        Task::Demo { args } => demo::run(&args),
        Task::Image { binary: true } => image::binary().map(drop),
        Task::Image { binary: false } => image::run(),
        Task::Test { args } => test::run(&args),
        Task::Bench { names } => bench::run(&names),
        Task::Lab(LabTask::Score { filter }) => lab::score(filter.as_deref()),
        Task::Vm(options) => vm::run(&options),
        Task::Ci { no_test } => ci::run(no_test),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
