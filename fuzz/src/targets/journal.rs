//! The sign-once journal: exported ones, which an operator brings, and lines as a disk may give them back.
use crate::attest::interchange;

pub fn examples() -> Vec<Vec<u8>> {
    let word = |byte: &str| format!("0x{}", byte.repeat(32));
    let text = serde_json::json!({
        "metadata": { "format": "ditto sign-once journal", "version": 1, "network": "eip155:1/0x00", "consensus_key": "00" },
        "floor": "5", "high": "18446744073709551615",
        "proposals": [{ "slot": "7", "digest": word("11") }],
        "verdicts": [
            { "slot": "7", "workflow": "1", "due": "7", "approved": word("22"), "rejected": [word("33")] },
            { "slot": "8", "workflow": "1", "due": "7", "approved": null, "rejected": [] },
        ],
    });
    vec![text.to_string().into_bytes()]
}

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(journal) = interchange::parse(text) else { return };
    let again = serde_json::to_string(&journal).expect("plain data");
    assert_eq!(interchange::parse(&again).ok().as_ref(), Some(&journal));
}
