//! What is public of the networks that Ditto's documentation names, so that nobody has to look it up: `preset = "base"` in
//! the file, `DITTO_PRESET`, or `--preset base`. Whatever is set anywhere goes before it.
//!
//! A preset says nothing that only a network's announcement can say: name, genesis, aggregator and the addresses of Ditto's
//! contracts, of which none is public, stay required. `slot_seconds`, `set_settles_blocks` and the pin's lag are rules of the
//! network, too; where the announcement has other ones, they go into the file.
//!
//! Block times and finality are the chains' own documentation's, looked up in November 2026.

use serde_json::{Value, json};

use super::{ConfigError, Layers, Origin};

/// EntryPoint v0.7 is at the same address on every chain (ERC-4337's deployments).
const ENTRY_POINT: &str = "0x0000000071727De22E5E9d8BAf0edAc6f37da032";

/// What is public of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What it is called in a configuration.
    pub name: &'static str,
    /// The chain's EIP-155 id.
    pub chain: u64,
    /// Seconds of a slot: no shorter than the time between two blocks.
    pub slot_seconds: u64,
    /// Seconds before a slot's start at which its pin is taken. The pin is known when a later block is, so this is the time
    /// between two blocks and what a block takes to arrive.
    pub pin_lag_seconds: u64,
    /// Milliseconds between two looks at the head.
    pub poll_ms: u64,
    /// Blocks after which a new operator set takes over: more than the chain takes to finalize.
    pub set_settles_blocks: u64,
}

/// All of them.
pub const PRESETS: [Preset; 5] = [
    // Blocks every 12 s; final after two epochs, 64 to 96 blocks.
    Preset {
        name: "ethereum",
        chain: 1,
        slot_seconds: 12,
        pin_lag_seconds: 16,
        poll_ms: 1_000,
        set_settles_blocks: 128,
    },
    // Blocks every 2 s; final when Ethereum's block with the batch is, about 20 minutes: half an hour.
    Preset { name: "base", chain: 8_453, slot_seconds: 2, pin_lag_seconds: 3, poll_ms: 250, set_settles_blocks: 900 },
    // Blocks every 0.25 s, whose times are whole seconds; final as on Base.
    Preset {
        name: "arbitrum",
        chain: 42_161,
        slot_seconds: 2,
        pin_lag_seconds: 2,
        poll_ms: 250,
        set_settles_blocks: 7_200,
    },
    // Blocks every 2 s; final by milestones within seconds, and without them by checkpoints of about 512 blocks (PIP-11).
    Preset { name: "polygon", chain: 137, slot_seconds: 2, pin_lag_seconds: 5, poll_ms: 250, set_settles_blocks: 600 },
    // Ethereum's testnet of the public DittoEntryPoint, given up by Ethereum's developers since September 2025.
    Preset {
        name: "holesky",
        chain: 17_000,
        slot_seconds: 12,
        pin_lag_seconds: 16,
        poll_ms: 1_000,
        set_settles_blocks: 128,
    },
];

impl Preset {
    /// The preset of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        PRESETS.into_iter().find(|preset| preset.name == name)
    }

    /// What it sets, by dotted key; as the target chain, or as one that is only read.
    fn values(&self, target: bool) -> Vec<(String, Value)> {
        let chain = |key: &str| format!("chains.{}.{key}", self.chain);
        let mut values =
            vec![(chain("pin_lag_seconds"), json!(self.pin_lag_seconds)), (chain("poll_ms"), json!(self.poll_ms))];
        if target {
            values.extend([
                ("network.target_chain".to_owned(), json!(self.chain)),
                ("network.slot_seconds".to_owned(), json!(self.slot_seconds)),
                ("network.set_settles_blocks".to_owned(), json!(self.set_settles_blocks)),
                (chain("contracts.entry_point"), json!(ENTRY_POINT)),
            ]);
        }
        values
    }
}

impl Layers {
    /// Takes the key `preset` out of what was laid so far (a name or a list of names, the target chain's first), and lays
    /// what these presets say under everything.
    ///
    /// # Errors
    /// When there is no preset of that name.
    pub fn presets(&mut self) -> Result<&mut Self, ConfigError> {
        let Some(chosen) = self.tree.remove("preset") else { return Ok(self) };
        let origin = self.origins.remove("preset").unwrap_or(Origin::Default);
        self.ambiguous.remove("preset");
        let names = match chosen {
            Value::Array(names) => names,
            name => vec![name],
        };
        for (place, name) in names.iter().enumerate() {
            let wrong = |cause: String| ConfigError::Wrong {
                key: "preset".to_owned(),
                origin: origin.clone(),
                cause: cause.into(),
            };
            let all = || PRESETS.map(|preset| preset.name).join(", ");
            let name = name.as_str().ok_or_else(|| wrong(format!("write a name, or a list of names: {}", all())))?;
            let preset = Preset::named(name).ok_or_else(|| {
                let near = super::distance::nearest(name, PRESETS.map(|preset| preset.name));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                wrong(format!("there is no preset {:?}{near}; there are: {}", super::redacted(name), all()))
            })?;
            for (key, value) in preset.values(place == 0) {
                self.under(&key, value, &Origin::Preset(preset.name))?;
            }
        }
        Ok(self)
    }
}

/// What to do about a key that is not set, where there is more to say than that.
pub(super) fn hint(key: &str) -> Option<&'static str> {
    let last = key.rsplit('.').next().unwrap_or(key);
    match last {
        "attestation_center" | "obls" | "hook" | "validator_module" | "registry" => Some(
            "no preset knows it: the addresses of Ditto's contracts are not public, your network's announcement has them",
        ),
        "genesis_seconds" | "aggregator" | "name" if key.starts_with("network.") => {
            Some("your network's announcement has it, equal for every node")
        }
        "slot_seconds" | "target_chain" if key.starts_with("network.") => {
            Some("your network's announcement has it, equal for every node; or choose a `preset`")
        }
        "rpc" => Some("list the JSON-RPC endpoints of your nodes, such as [\"http://127.0.0.1:8545\"]"),
        _ => None,
    }
}
