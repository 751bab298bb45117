//! The keys: whether they are there, kept well, readable by their owner alone, and what they are.

use ditto_core::secret::{Kept, SecretSource};

use super::finding::Findings;
use crate::config::OperatorConfig;
use crate::node::Keys;

const SECTION: &str = "keys";

pub fn examine(findings: &mut Findings, config: &OperatorConfig) -> Option<Keys> {
    for (field, source) in [("keys.consensus", &config.keys.consensus), ("keys.signer", &config.keys.signer)] {
        kept(findings, field, source);
    }
    match Keys::load(config) {
        Ok(keys) => {
            let public = alloy::hex::encode_prefixed(keys.consensus.public().to_bytes());
            findings.ok(SECTION, "consensus", format!("{}…", &public[..18]));
            findings.ok(SECTION, "signer", keys.signer.address().to_string());
            Some(keys)
        }
        Err(error) => {
            let fix = "`ditto-operator generate` makes keys, `ditto-operator keys import` takes existing ones.";
            findings.fail(SECTION, "keys", format!("{error:#}"), fix);
            None
        }
    }
}

/// How a key is kept. What keeps it from being read is said by whoever reads it.
fn kept(findings: &mut Findings, field: &str, source: &SecretSource) {
    let fix = "`ditto-operator keys import` puts it into a keystore.";
    match source.kept() {
        Some(Kept::Keystore) => findings.ok(SECTION, field, "in a keystore"),
        Some(Kept::Bare) => {
            findings.warn(
                SECTION,
                field,
                "unencrypted in its file: a copy of the disk, or a backup, is a copy of the key",
                fix,
            );
        }
        Some(Kept::Environment) => {
            findings.warn(SECTION, field, "in the environment, which every process started from there has, too", fix);
        }
        None => {}
    }
}
