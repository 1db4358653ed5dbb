//! What changed on the machine during a run: links, addresses, routes and neighbours, as rtnetlink tells.
//!
//! `links`, `routes`, `neighbours` and `known` are pure: messages and times in, events out; `journal` keeps them within
//! bounds. `socket` does the IO, and `alarm` waits for it.

mod alarm;
mod event;
mod journal;
mod known;
mod links;
mod neighbours;
mod routes;
mod socket;

pub use alarm::Alarm;
pub use event::{Event, Turn, What};
pub use journal::Journal;
pub use known::Known;
pub use socket::Watcher;
