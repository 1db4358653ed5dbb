//! Every probe against `serve`: real packets, exact counts.

mod loopback;
mod namespace;
mod support;
mod tls;
