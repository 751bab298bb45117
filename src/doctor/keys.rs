//! The keys: whether they are there, readable by their owner alone, and what they are.

use super::finding::Findings;
use crate::config::OperatorConfig;
use crate::node::Keys;

const SECTION: &str = "keys";

pub fn examine(findings: &mut Findings, config: &OperatorConfig) -> Option<Keys> {
    match Keys::load(config) {
        Ok(keys) => {
            let public = alloy::hex::encode_prefixed(keys.consensus.public().to_bytes());
            findings.ok(SECTION, "consensus", format!("{}…", &public[..18]));
            findings.ok(SECTION, "signer", keys.signer.address().to_string());
            Some(keys)
        }
        Err(error) => {
            findings.fail(
                SECTION,
                "keys",
                format!("{error:#}"),
                "docs/operators-guide.md, Keys, says how they are made.",
            );
            None
        }
    }
}
