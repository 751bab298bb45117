//! Attacks on `core::stage`: each test tries to break one of its promises.

#![allow(clippy::unwrap_used)]

mod drain;
mod kinds;
mod overflow;
mod scrape;
