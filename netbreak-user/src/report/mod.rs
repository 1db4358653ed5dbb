//! The report: one model, one renderer a format. Renderers take the model and return text; they measure nothing.

mod model;

pub use model::*;
