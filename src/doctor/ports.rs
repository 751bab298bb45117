//! The ports that the operator listens on: free, or held by the operator itself.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use alloy::transports::http::reqwest;

use super::finding::Findings;
use crate::config::OperatorConfig;

const SECTION: &str = "ports";

pub async fn examine(findings: &mut Findings, config: &OperatorConfig) {
    let runs = answers(config.telemetry.listen).await;
    if runs {
        findings.ok(SECTION, "operator", format!("one is running: it answers at {}", config.telemetry.listen));
    } else {
        bind(findings, "telemetry.listen", config.telemetry.listen, Protocol::Tcp, false);
    }
    for address in &config.p2p.listen {
        let text = address.to_string();
        match parse(&text) {
            Some((at, protocol)) => bind(findings, "p2p.listen", at, protocol, runs),
            None => findings.skip(SECTION, "p2p.listen", format!("{text} is not an address that can be tried")),
        }
    }
    if config.p2p.bootstrap.is_empty() {
        let fix = "Name the aggregator's address in `p2p.bootstrap`: without it this operator finds nobody.";
        findings.warn(SECTION, "p2p.bootstrap", "no node to meet the network through", fix);
    }
    for address in &config.p2p.bootstrap {
        reach(findings, &address.to_string()).await;
    }
}

/// Whether an operator answers there.
async fn answers(at: SocketAddr) -> bool {
    let Ok(client) = reqwest::Client::builder().timeout(Duration::from_secs(2)).build() else { return false };
    let Ok(answer) = client.get(format!("http://{at}/status")).send().await else { return false };
    answer.text().await.is_ok_and(|text| text.contains("\"ditto-operator\""))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

/// `/ip4/1.2.3.4/tcp/9100` and `/ip4/1.2.3.4/udp/9100/quic-v1`, and what may follow.
fn parse(text: &str) -> Option<(SocketAddr, Protocol)> {
    let mut parts = text.split('/').skip(1);
    let _family = parts.next().filter(|family| matches!(*family, "ip4" | "ip6"))?;
    let ip: IpAddr = parts.next()?.parse().ok()?;
    let protocol = match parts.next()? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some((SocketAddr::new(ip, parts.next()?.parse().ok()?), protocol))
}

fn bind(findings: &mut Findings, what: &str, at: SocketAddr, protocol: Protocol, runs: bool) {
    let (bound, name) = match protocol {
        Protocol::Tcp => (TcpListener::bind(at).map(drop), "TCP"),
        Protocol::Udp => (UdpSocket::bind(at).map(drop), "UDP"),
    };
    match bound {
        Ok(()) if runs => {
            let fix = "It runs with another configuration: restart it, or look at the one it was started with.";
            findings.warn(SECTION, what, format!("the running operator does not hold {name} {at}"), fix);
        }
        Ok(()) => findings.ok(SECTION, what, format!("{name} {at} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && runs => {
            findings.ok(SECTION, what, format!("{name} {at} is held, by the running operator"));
        }
        Err(error) => {
            let fix = match error.kind() {
                io::ErrorKind::AddrInUse => "Stop what uses it (`ss -lntup` tells), or choose another port.",
                io::ErrorKind::AddrNotAvailable => "The address is not this machine's: use 0.0.0.0, or one of its own.",
                io::ErrorKind::PermissionDenied => "Ports below 1024 need privileges: choose a higher one.",
                _ => "Choose another address.",
            };
            findings.fail(SECTION, what, format!("{name} {at} cannot be listened on: {error}"), fix);
        }
    }
}

/// A bootstrap node over TCP; over QUIC nothing short of the protocol itself would tell.
async fn reach(findings: &mut Findings, text: &str) {
    let Some((at, Protocol::Tcp)) = parse(text) else {
        findings.skip(SECTION, "p2p.bootstrap", format!("{text} is tried only by the operator itself"));
        return;
    };
    let connected = tokio::time::timeout(Duration::from_secs(3), tokio::net::TcpStream::connect(at)).await;
    let cause = match connected {
        Ok(Ok(_)) => return findings.ok(SECTION, "p2p.bootstrap", format!("{at} takes connections")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not answer within 3 s".into(),
    };
    let fix = "Is the address right, and does a firewall let this machine out? Or is the node down?";
    findings.warn(SECTION, "p2p.bootstrap", format!("{at}: {cause}"), fix);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn addresses_are_read() {
        assert_eq!(parse("/ip4/0.0.0.0/tcp/9100"), Some(("0.0.0.0:9100".parse().unwrap(), Protocol::Tcp)));
        assert_eq!(parse("/ip6/::1/udp/9100/quic-v1"), Some(("[::1]:9100".parse().unwrap(), Protocol::Udp)));
        assert_eq!(parse("/ip4/1.2.3.4/tcp/1/p2p/x").unwrap().0.port(), 1);
        for odd in
            ["", "/", "/dns4/x/tcp/1", "/ip4/x/tcp/1", "/ip4/1.2.3.4/sctp/1", "/ip4/1.2.3.4/tcp/99999", "/ip4/1.2.3.4"]
        {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_taken_port_is_a_failure_unless_it_is_the_operator_s_own() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let mut findings = Findings::default();
        bind(&mut findings, "x", at, Protocol::Tcp, false);
        bind(&mut findings, "x", at, Protocol::Tcp, true);
        bind(&mut findings, "x", "192.0.2.1:9".parse().unwrap(), Protocol::Udp, false);
        let found = findings.list();
        assert_eq!(found[0].status, Status::Fail);
        assert!(found[0].fix.as_deref().unwrap().contains("ss -lntup"));
        assert_eq!(found[1].status, Status::Ok);
        assert!(found[2].fix.as_deref().unwrap().contains("not this machine's"), "{:?}", found[2]);
    }
}
