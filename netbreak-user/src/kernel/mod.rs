//! The kernel side: what it needs, loading and attaching it, and reading what it counted.

mod aya_btf;
mod btf;
mod cost;
mod fill;
#[cfg(feature = "log")]
mod log;
pub mod memory;
mod ovs;
pub mod prerequisites;
mod programs;
mod reasons;
mod registry;
mod settings;
mod sweep;
mod symbols;
mod tables;
mod tracer;
mod trails;

pub use btf::{BtfError, KernelBtf};
pub use cost::{Accounting, Cost, Floor};
pub use ovs::UPCALL;
pub use programs::{Form, PATH, PID_1, TRACEPOINTS, blind_on_pid_1};
pub use reasons::Reasons;
pub use registry::{Registry, Room};
pub use sweep::Sweep;
pub use symbols::Symbols;
pub use tables::{FlowRow, PlaceRow, Tables};
pub use tracer::{Events, Options, StartError, Tracer};
pub use trails::{Stop, Trail, Trails, Walk};
