//! Loopback ports for networks that are started on one machine: the devnet's and the tests'.
//!
//! Binding port 0, closing it and using its number later is a race: the kernel gives the same number to the next
//! outgoing connection. Ports below the kernel's ephemeral range (32,768 on Linux) are never given away like that, and
//! a listener on a second loopback address keeps other processes that ask here from choosing the same one.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where ports are taken from: above the well-known services, below `net.ipv4.ip_local_port_range`.
const RANGE: std::ops::Range<u16> = 12_000..32_000;
/// Bound for as long as this process lives, as the mark that a port of 127.0.0.1 is spoken for.
const MARK: Ipv4Addr = Ipv4Addr::new(127, 77, 77, 77);

static RESERVED: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());

/// A TCP port of 127.0.0.1 that nobody listens on, reserved for this process and its children until it ends.
///
/// # Errors
/// When no port of the range is free.
pub fn free_port() -> io::Result<u16> {
    let width = u32::from(RANGE.end - RANGE.start);
    // Processes that start together begin their search at different places.
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let first = (nanos ^ std::process::id().wrapping_mul(0x9e37_79b9)) % width;
    for step in 0..width {
        // Less than the range's width, which is a u16.
        #[allow(clippy::cast_possible_truncation)]
        let port = RANGE.start + ((first + step) % width) as u16;
        let Ok(mark) = TcpListener::bind((MARK, port)) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            RESERVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(mark);
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port on the loopback interface"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_away_once_and_can_be_listened_on() {
        let ports: Vec<u16> = (0..200).map(|_| free_port().unwrap()).collect();
        let mut unique = ports.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ports.len());
        for port in ports {
            assert!(RANGE.contains(&port));
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
