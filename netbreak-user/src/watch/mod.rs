//! What changed on the machine during a run: links and addresses, as rtnetlink tells.
//!
//! `links` is pure: messages and times in, events out. `socket` does the IO.

mod devices;
mod links;
mod socket;

pub use devices::{Device, Devices};
pub use links::{Event, Links, What};
pub use socket::Watcher;
