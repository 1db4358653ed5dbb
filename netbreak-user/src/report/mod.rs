//! The report: one model, one renderer a format. Renderers take the model and return text; they measure nothing.

mod attempts;
mod check;
pub mod html;
pub mod json;
pub mod markdown;
mod matrix;
pub mod merge;
mod model;
pub mod prometheus;
mod sightings;
pub mod test_server;
pub mod text;
mod timeline;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod schema;

pub use attempts::*;
pub use model::*;
pub use sightings::*;
pub use timeline::*;
