#![no_std]
//! x

pub mod wire;
