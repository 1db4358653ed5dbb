//! What changed on the machine during a run: links and addresses, as rtnetlink tells, and daemons, as /proc shows.
//!
//! `links` and `processes` are pure: what was heard or seen and times in, events out. `socket` and `scan` do the IO.

mod devices;
mod links;
mod processes;
mod scan;
mod socket;

pub use devices::{Device, Devices};
pub use links::{Event, Links, What};
pub use processes::{Became, Process, ProcessEvent, Processes};
pub use scan::{DAEMONS, ProcessWatcher};
pub use socket::Watcher;
