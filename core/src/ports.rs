//! Loopback ports for networks that are started on one machine: the devnet's and the tests'.
//!
//! Binding port 0, closing it and using its number later is a race: the kernel gives the same number to the next
//! outgoing connection. Ports below the kernel's ephemeral range (32,768 on Linux) are never given away like that, and
//! a name that only one process can hold keeps others that ask here from choosing the same one. The name is that of an
//! abstract Unix socket (unix(7)): it goes with its process, and is in nobody's way. A TCP listener would be: libp2p dials
//! from the port that it listens on, bound to all addresses.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where ports are taken from: above the well-known services, below `net.ipv4.ip_local_port_range`.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// Held for as long as this process lives: the marks that ports of 127.0.0.1 are spoken for.
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

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
        let name = SocketAddr::from_abstract_name(format!("ditto-port-{port}"))?;
        let Ok(mark) = UnixListener::bind_addr(&name) else { continue };
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
            // As libp2p dials: from all addresses.
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        }
    }
}
