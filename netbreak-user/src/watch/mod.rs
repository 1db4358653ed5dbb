//! What changed on the machine during a run: links, addresses, routes and neighbours, as rtnetlink tells, and daemons,
//! as /proc shows.
//!
//! `links`, `routes`, `neighbours`, `known`, `devices` and `processes` are pure: what was heard or seen and times in,
//! events out; `journal` keeps them within bounds. `socket`, `scan` and `owners`
//! do the IO, and `alarm` waits for it.

mod alarm;
mod devices;
mod event;
mod journal;
mod known;
mod links;
mod neighbours;
mod owners;
mod processes;
mod routes;
mod scan;
mod socket;

pub use alarm::Alarm;
pub use devices::{Device, Devices};
pub use event::{Event, Turn, What};
pub use journal::Journal;
pub use known::Known;
pub use owners::{Owner, Owners};
pub use processes::{Became, Process, ProcessEvent, Processes};
pub use scan::{DAEMONS, ProcessWatcher};
pub use socket::Watcher;
