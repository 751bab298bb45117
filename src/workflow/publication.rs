//! From the manifest to the bytes that are published.

use alloy::dyn_abi::DynSolType;
use alloy::json_abi::{Function, Param};
use alloy::primitives::{Address, FixedBytes};
use alloy::sol_types::SolValue;

use super::manifest::{AllowTable, Manifest, TriggerTable};
use super::project::Declared;
use crate::build::policy::{Policy, Rule};
use crate::document::{self, Options, TriggerKind};
use crate::ingest::triggers::{KIND_INTERVAL, KIND_LIMIT, MAX_TRIGGERS, PublishedTrigger, Trigger};

/// What the registry takes, in bytes: its own constants.
pub const MAX_CODE: usize = 128 * 1024;
/// See [`MAX_CODE`].
pub const MAX_POLICY: usize = 24 * 1024;
/// See [`MAX_CODE`].
pub const MAX_ARGS: usize = 8 * 1024;
/// What is wrong with a manifest, besides its shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct ManifestError {
    /// The key.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl ManifestError {
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

/// The triggers as they are published, the limits last; operators must be able to read each of them.
///
/// # Errors
/// Names the trigger.
pub fn triggers(manifest: &Manifest) -> Result<Vec<PublishedTrigger>, ManifestError> {
    if manifest.triggers.is_empty() {
        let problem = "there is none, so it would never run: add a [[triggers]] table with `cron` or `every`";
        return Err(ManifestError::new("triggers", problem));
    }
    let options = Options { target_chain: manifest.target_chain, ..Options::default() };
    let mut published = Vec::with_capacity(manifest.triggers.len() + 1);
    for (index, table) in manifest.triggers.iter().enumerate() {
        let trigger = trigger(index, table, &options)?;
        known_chain(index, &trigger, manifest)?;
        published.push(trigger);
    }
    let (count, interval) = (manifest.count.unwrap_or(0), manifest.interval.unwrap_or(0));
    if count | interval != 0 {
        published.push(PublishedTrigger { kind: KIND_LIMIT, data: (count, interval).abi_encode() });
    }
    if published.len() > MAX_TRIGGERS {
        let problem =
            format!("with `count` and `interval` they come to {}, the registry takes {MAX_TRIGGERS}", published.len());
        return Err(ManifestError::new("triggers", problem));
    }
    Trigger::parse_all(published.iter().map(|trigger| (trigger.kind, trigger.data.as_slice())))
        .map_err(|error| ManifestError::new("triggers", error.to_string()))?;
    Ok(published)
}

/// That the manifest has the chain that a trigger looks at: a slip of the chain's id would never be due.
fn known_chain(index: usize, published: &PublishedTrigger, manifest: &Manifest) -> Result<(), ManifestError> {
    let (kind, chain) = match Trigger::parse(published.kind, &published.data) {
        Ok(Trigger::Event(event)) => ("event", event.chain_id),
        Ok(Trigger::Condition(condition)) => ("onchain", condition.chain_id),
        _ => return Ok(()),
    };
    if manifest.chain_ids().contains(&chain) {
        return Ok(());
    }
    let problem = format!(
        "there is no table [chains.{chain}], so chain {chain} is taken for a slip: add the table, with `rpc`, if the network's \
         operators read that chain"
    );
    Err(ManifestError::new(format!("triggers[{index}].{kind}.chainId"), problem))
}

fn trigger(index: usize, table: &TriggerTable, options: &Options) -> Result<PublishedTrigger, ManifestError> {
    let wrong = |problem: String| ManifestError::new(format!("triggers[{index}]"), problem);
    let documented = |kind: TriggerKind, name: &str, params: &serde_json::Value| {
        let path = format!("triggers[{index}].{name}");
        document::single_trigger(kind, params, &path, options).map_err(|error| match kind {
            // A schedule is a document's parameter, and the whole of a manifest's.
            TriggerKind::Cron => ManifestError::new(path, error.problem),
            _ => ManifestError::new(error.path, error.problem),
        })
    };
    match table {
        TriggerTable { cron: Some(schedule), every: None, phase: None, event: None, onchain: None } => {
            documented(TriggerKind::Cron, "cron", &serde_json::json!({ "schedule": schedule }))
        }
        TriggerTable { cron: None, every: Some(every), phase, event: None, onchain: None } => {
            let data = (*every, phase.unwrap_or(0)).abi_encode();
            Trigger::parse(KIND_INTERVAL, &data).map_err(|error| wrong(error.to_string()))?;
            Ok(PublishedTrigger { kind: KIND_INTERVAL, data })
        }
        TriggerTable { cron: None, every: None, phase: None, event: Some(params), onchain: None } => {
            documented(TriggerKind::Event, "event", params)
        }
        TriggerTable { cron: None, every: None, phase: None, event: None, onchain: Some(params) } => {
            documented(TriggerKind::Onchain, "onchain", params)
        }
        _ => Err(wrong("write one of `cron`, `every` (with `phase`, if you like), `event` and `onchain`".into())),
    }
}

/// What the manifest declares instead of TypeScript; nothing when it has no steps.
///
/// # Errors
/// Names the step's field, or what does not go with steps.
pub fn declared(manifest: &Manifest) -> Result<Option<Declared>, ManifestError> {
    if manifest.steps.is_empty() {
        return Ok(None);
    }
    if manifest.code.is_some() {
        return Err(ManifestError::new("code", "there are [[steps]] as well: keep the script or the steps"));
    }
    if !manifest.args.is_empty() {
        let problem = "the [[steps]] are made as they are written, nothing reads arguments: remove the table";
        return Err(ManifestError::new("args", problem));
    }
    let steps = serde_json::Value::Array(manifest.steps.clone());
    let (calls, code) = document::declared_steps(&steps, "steps")
        .map_err(|error| ManifestError { key: error.path, problem: error.problem })?;
    Ok(Some(Declared { calls, code }))
}

/// The policy as it is published.
///
/// # Errors
/// Names the rule.
pub fn policy(manifest: &Manifest) -> Result<Policy, ManifestError> {
    let table = &manifest.policy;
    if table.allow.is_empty() {
        let problem = "nothing is allowed, so every run would be refused: add a [[policy.allow]] table";
        return Err(ManifestError::new("policy.allow", problem));
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(table.allow.len());
    for (index, allow) in table.allow.iter().enumerate() {
        let key = format!("policy.allow[{index}]");
        let selector = selector(allow).map_err(|problem| ManifestError::new(format!("{key}.call"), problem))?;
        if let Some(privileged) = privileged(manifest).into_iter().find(|address| *address == allow.target) {
            let problem = format!("{privileged} decides who may act for the account, so operators never call it");
            return Err(ManifestError::new(format!("{key}.target"), problem));
        }
        if rules.iter().any(|rule| rule.target == allow.target && rule.selector == selector) {
            return Err(ManifestError::new(key, "the same call is allowed twice; only the first would count"));
        }
        if allow.max_value > table.max_value {
            let problem = format!(
                "{} is more than `policy.max_value` ({}), which caps the whole operation",
                allow.max_value, table.max_value
            );
            return Err(ManifestError::new(format!("{key}.max_value"), problem));
        }
        rules.push(Rule { target: allow.target, selector, maxValue: allow.max_value.0 });
    }
    if table.max_call_gas == 0 {
        return Err(ManifestError::new("policy.max_call_gas", "no call can do with no gas"));
    }
    let max_fee = u128::try_from(table.max_fee_per_gas.0).ok().filter(|fee| *fee > 0);
    let max_fee = max_fee.ok_or_else(|| {
        ManifestError::new("policy.max_fee_per_gas", "write what a unit of gas may cost, such as \"100 gwei\"")
    })?;
    let policy = Policy {
        rules,
        maxValuePerOp: table.max_value.0,
        maxCallGas: table.max_call_gas.into(),
        maxFeePerGas: max_fee,
    };
    let size = policy.abi_encode().len();
    if size > MAX_POLICY {
        let problem = format!("the policy has {size} bytes, the registry takes {MAX_POLICY}: allow fewer calls");
        return Err(ManifestError::new("policy.allow", problem));
    }
    Ok(policy)
}

/// Addresses that decide who may act for the account.
#[must_use]
pub fn privileged(manifest: &Manifest) -> Vec<Address> {
    let contracts = manifest.contracts();
    let of_ditto = contracts.map(|of| [of.entry_point, of.validator_module, of.hook]);
    manifest.account.into_iter().chain(of_ditto.into_iter().flatten()).collect()
}

fn selector(allow: &AllowTable) -> Result<FixedBytes<4>, String> {
    let Some(call) = &allow.call else { return Ok(FixedBytes::ZERO) };
    if let Some(digits) = call.strip_prefix("0x") {
        let mut selector = [0; 4];
        alloy::hex::decode_to_slice(digits, &mut selector)
            .map_err(|_| format!("{call:?} is not a selector: write 0x and eight hexadecimal digits"))?;
        return Ok(selector.into());
    }
    function(call).map(|function| function.selector()).ok_or_else(|| {
        format!(
            "{call:?} is not a function: write for example \"transfer(address to, uint256 amount)\", without `function`"
        )
    })
}

/// A function from its signature in words, if it is one.
#[must_use]
pub fn function(signature: &str) -> Option<Function> {
    let signature = signature.trim();
    let function = Function::parse(signature.strip_prefix("function ").unwrap_or(signature)).ok()?;
    // The parser takes any word for a type; a misspelled one would give another selector.
    let known = |param: &Param| param.selector_type().parse::<DynSolType>().is_ok();
    function.inputs.iter().chain(&function.outputs).all(known).then_some(function)
}

/// The arguments as they are published.
///
/// # Errors
/// When the registry would not take them.
pub fn args(manifest: &Manifest) -> Result<String, ManifestError> {
    let json = manifest.args_json();
    if json.len() > MAX_ARGS {
        let problem = format!("they have {} bytes as JSON, the registry takes {MAX_ARGS}", json.len());
        return Err(ManifestError::new("args", problem));
    }
    Ok(json)
}

/// The window of validity: first and last second, zero where there is none.
///
/// # Errors
/// When it is empty, or does not fit the registry's 48 bits.
pub fn window(manifest: &Manifest) -> Result<(u64, u64), ManifestError> {
    let after = manifest.valid_after.map_or(0, |instant| instant.0);
    let until = manifest.valid_until.map_or(0, |instant| instant.0);
    if until != 0 && after > until {
        return Err(ManifestError::new("valid_until", "it lies before `valid_after`, so the workflow would never run"));
    }
    if after.max(until) >> 48 != 0 {
        return Err(ManifestError::new("valid_until", "are these milliseconds? Unix seconds are asked for"));
    }
    Ok((after, until))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::manifest::tests::{GOOD, load};
    use super::*;
    use crate::ingest::triggers::KIND_CRON;
    use alloy::primitives::{U256, hex};

    #[test]
    fn a_policy_names_calls_and_transfers() {
        let policy = policy(&load(GOOD).unwrap()).unwrap();
        assert_eq!(policy.rules[0].selector, FixedBytes::ZERO);
        assert_eq!(policy.rules[0].maxValue, U256::from(100_000_000_000_000_000_u128));
        assert_eq!(policy.rules[1].selector, FixedBytes(hex!("a9059cbb")));
        assert_eq!(policy.maxFeePerGas, 100_000_000_000);
        assert_eq!(policy.maxCallGas, 500_000);
        assert_eq!(crate::build::policy::read(&policy.abi_encode()).unwrap(), policy);
    }

    #[test]
    fn triggers_are_encoded_as_the_registry_takes_them() {
        let manifest = load(GOOD).unwrap();
        assert_eq!(triggers(&manifest).unwrap(), [PublishedTrigger { kind: KIND_CRON, data: b"0 * * * *".to_vec() }]);
        let manifest = load(&GOOD.replace("cron = \"0 * * * *\"", "every = 30\nphase = 4")).unwrap();
        let published = triggers(&manifest).unwrap();
        assert_eq!(published[0].data, (U256::from(30), U256::from(4)).abi_encode());
        let limited = GOOD.replace("target_chain = 31337", "target_chain = 31337\ncount = 5\ninterval = 60");
        let published = triggers(&load(&limited).unwrap()).unwrap();
        assert_eq!(published[1], PublishedTrigger { kind: KIND_LIMIT, data: (5_u64, 60_u64).abi_encode() });
        let event = r#"event = { signature = "Transfer(address indexed from, address indexed to, uint256 value)",
            contractAddress = "0x0000000000000000000000000000000000000002", chainId = 31337 }"#;
        let manifest = load(&GOOD.replace("cron = \"0 * * * *\"", &event.replace('\n', " "))).unwrap();
        assert_eq!(triggers(&manifest).unwrap()[0].kind, crate::ingest::triggers::KIND_EVENT);
        let elsewhere = load(&GOOD.replace("cron = \"0 * * * *\"", &event.replace('\n', " ").replace("31337", "10")));
        assert!(triggers(&elsewhere.unwrap()).unwrap_err().problem.contains("chain 10"));
    }

    #[test]
    fn what_would_never_run_is_refused_with_the_fix() {
        for (from, to, key, fix) in [
            ("cron = \"0 * * * *\"", "cron = \"61 * * * *\"", "triggers[0].cron", "61"),
            ("cron = \"0 * * * *\"", "every = 0", "triggers[0]", "everySlots > phase"),
            ("cron = \"0 * * * *\"", "cron = \"0 * * * *\"\nevery = 3", "triggers[0]", "one of"),
            ("[[triggers]]\n        cron = \"0 * * * *\"", "", "triggers", "[[triggers]]"),
            ("transfer(address to,", "transfer(adress to,", "policy.allow[1].call", "transfer(address to"),
            ("\"transfer(address to, uint256 amount)\"", "\"0xa9059c\"", "policy.allow[1].call", "eight"),
            ("000000000002\"", "0000000000aa\"", "policy.allow[1].target", "never call"),
            ("max_fee_per_gas = \"100 gwei\"", "max_fee_per_gas = 0", "policy.max_fee_per_gas", "gwei"),
            (
                "max_value = \"0.1 ether\"\n        max_fee",
                "max_value = 1\n        max_fee",
                "policy.allow[0].max_value",
                "caps",
            ),
            ("valid_until = 2030-01-31T12:00:00Z", "valid_until = 1\nvalid_after = 2", "valid_until", "before"),
            ("2030-01-31T12:00:00Z", "1900000000000000", "valid_until", "milliseconds"),
            ("amount = \"5\"", &format!("amount = \"{}\"", "5".repeat(9_000)), "args", "8192"),
        ] {
            let changed = GOOD.replace(from, to);
            assert_ne!(changed, GOOD, "{from}");
            let manifest = load(&changed).unwrap();
            let error = triggers(&manifest)
                .err()
                .or_else(|| policy(&manifest).err())
                .or_else(|| args(&manifest).err())
                .or_else(|| window(&manifest).err())
                .unwrap_or_else(|| panic!("{to} passes"));
            assert_eq!(error.key, key, "{error}");
            assert!(error.problem.contains(fix), "{error}");
        }
    }
}
