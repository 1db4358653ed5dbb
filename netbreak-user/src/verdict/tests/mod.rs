//! The verdict on evidence made by hand, and on a recording: no kernel, no clock, no root.

mod around;
mod books;
pub mod build;
mod datapath;
mod deaths;
mod last;
mod late;
mod path;
mod route;
mod stream;
