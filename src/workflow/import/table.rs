//! A job as `workflow.toml`: what people read and change.

use std::fmt::Write;
use std::path::Path;

use alloy::primitives::{Address, FixedBytes};
use serde_json::Value;

use crate::document::ImportedJob;
use crate::workflow::amount::Amount;
use crate::workflow::publication;
use crate::workflow::scaffold::Network;

/// Gas that the policy leaves a job's calls: as the template does, and this much for each call where there are many.
const LEAST_GAS: u64 = 500_000;
const GAS_PER_CALL: u64 = 150_000;
/// The columns before a note.
const NOTES: usize = 35;

/// What it is made of.
pub(super) struct Source<'a> {
    /// The workflow's name.
    pub(super) name: &'a str,
    /// The document's file.
    pub(super) file: &'a Path,
    /// The smart account, if it is known.
    pub(super) account: Option<Address>,
    /// Where the calls are made.
    pub(super) chain: u64,
    /// The network, if it is known.
    pub(super) network: Option<&'a Network>,
    /// The document's `workflow`.
    pub(super) workflow: &'a Value,
    /// The job in it.
    pub(super) job: &'a Value,
    /// The job, understood.
    pub(super) imported: &'a ImportedJob,
    /// The document's owner.
    pub(super) owner: Address,
}

/// The manifest.
pub(super) fn text(of: &Source<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = write(of, &mut text);
    text
}

fn write(of: &Source<'_>, out: &mut String) -> std::fmt::Result {
    let file = of.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    writeln!(
        out,
        "# Job {:?} of the Ditto workflow document {file:?}. It makes the calls under [[steps]] whenever it is",
        of.imported.id
    )?;
    writeln!(out, "# due, without a script. `ditto-operator workflow check` says what is missing or wrong.\n")?;
    writeln!(out, "name = {}", string(of.name))?;
    match of.account {
        Some(account) => writeln!(out, "account = \"{account}\"")?,
        None => {
            writeln!(out, "# account = \"0x…\"                 # the smart account it acts for; publishing needs it.")?;
            writeln!(out, "#                                   # The document names its owner, {}", of.owner)?;
        }
    }
    writeln!(out)?;
    noted(out, &format!("target_chain = {}", of.chain), "where the account is, and where its calls are made")?;
    if let Some(first) = of.network.and_then(|network| network.first_block) {
        writeln!(out, "registry_first_block = {first}")?;
    }
    for (key, seconds) in [("valid_after", of.imported.valid_after), ("valid_until", of.imported.valid_until)] {
        if seconds != 0 {
            noted(out, &format!("{key} = {seconds}"), &date(seconds))?;
        }
    }
    for (key, means) in
        [("count", "executes this often at most"), ("interval", "seconds between two executions at least")]
    {
        if let Some(number) = number(&of.workflow[key]) {
            noted(out, &format!("{key} = {number}"), means)?;
        }
    }
    triggers(of, out)?;
    steps(of, out)?;
    policy(of, out)?;
    chains(of, out)
}

fn triggers(of: &Source<'_>, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n# When it runs. Several triggers: all of them must be due at once.")?;
    let list = of.workflow["triggers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        // Such documents run as soon as they are valid.
        writeln!(out, "[[triggers]]")?;
        noted(out, "every = 1", "in every slot, until `count` is reached")?;
    }
    for trigger in list {
        let (params, kind) = (&trigger["params"], trigger["type"].as_str().unwrap_or_default());
        writeln!(out, "[[triggers]]")?;
        match kind {
            "cron" => {
                writeln!(
                    out,
                    "cron = {}                # UTC",
                    string(params["schedule"].as_str().unwrap_or_default())
                )?;
            }
            kind => {
                // A dotted key for each parameter: an inline table would be one long line.
                for (key, value) in params.as_object().into_iter().flatten() {
                    if let Some(value) = toml(value) {
                        writeln!(out, "{kind}.{key} = {value}")?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn steps(of: &Source<'_>, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n# What it does, in this order; all of it or nothing.")?;
    for step in of.job["steps"].as_array().map(Vec::as_slice).unwrap_or_default() {
        writeln!(out, "[[steps]]")?;
        for key in ["target", "abi", "args", "value"] {
            let value = &step[key];
            let nothing = match (key, value) {
                ("value", Value::String(text)) => text == "0",
                ("value", Value::Number(number)) => number.as_u64() == Some(0),
                ("args", Value::Array(items)) => items.is_empty() && step["abi"] == "",
                _ => false,
            };
            if let Some(value) = toml(value).filter(|_| !nothing) {
                writeln!(out, "{key} = {value}")?;
            }
        }
    }
    Ok(())
}

fn policy(of: &Source<'_>, out: &mut String) -> std::fmt::Result {
    let calls = of.imported.calls.len() as u64;
    let gas = LEAST_GAS.max(GAS_PER_CALL.saturating_mul(calls));
    writeln!(out, "\n# What it may do: its calls and nothing more.\n[policy]")?;
    noted(out, &format!("max_value = \"{}\"", Amount(of.imported.value)), "that one execution sends in all")?;
    noted(out, &format!("max_call_gas = {gas}"), "that its calls may burn; `workflow run` says what they do")?;
    noted(out, "max_fee_per_gas = \"100 gwei\"", "leave it room: below the chain's fee nothing is sent")?;
    let steps = of.job["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    for rule in &of.imported.rules {
        writeln!(out, "\n[[policy.allow]]\ntarget = \"{}\"", rule.target)?;
        if rule.selector != FixedBytes::ZERO {
            let named = steps
                .iter()
                .filter_map(|step| publication::function(step["abi"].as_str()?))
                .find(|function| function.selector() == rule.selector);
            let call = named.map_or_else(|| rule.selector.to_string(), |function| function.signature());
            writeln!(out, "call = {}", string(&call))?;
        }
        if !rule.maxValue.is_zero() {
            writeln!(out, "max_value = \"{}\"", Amount(rule.maxValue))?;
        }
    }
    Ok(())
}

fn chains(of: &Source<'_>, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n# The chains: how `run` and `publish` reach them. Not published.")?;
    writeln!(out, "# A URL with a password goes into the environment instead: WORKFLOW_CHAINS__{}__RPC", of.chain)?;
    if let Some(network) = of.network {
        return write!(out, "{}", network.tables);
    }
    let triggers = of.workflow["triggers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut read: Vec<u64> = triggers.iter().filter_map(|trigger| number(&trigger["params"]["chainId"])).collect();
    read.push(of.chain);
    read.sort_unstable();
    read.dedup();
    for chain in read {
        writeln!(out, "[chains.{chain}]")?;
        noted(out, "rpc = []", &format!("[\"https://…\"], or `--rpc {chain}=URL`"))?;
    }
    writeln!(
        out,
        "\n# To publish: Ditto's contracts on the target chain, and when its slots begin. Your network's announcement has\n\
         # both; `workflow import --network FILE` copies them from a node's configuration.\n\
         # [chains.{}.contracts]\n# [network]",
        of.chain
    )
}

/// A whole number, which some tools write as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A line with what it means behind it, where people look for that.
fn noted(out: &mut String, line: &str, note: &str) -> std::fmt::Result {
    writeln!(out, "{line:<NOTES$} # {note}")
}

fn string(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

/// JSON as TOML, which has no null and no integers beyond 64 bits with a sign: those become text, which documents take for
/// numbers as well.
fn toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => toml::Value::Boolean(*truth),
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => toml::Value::Integer(whole),
            None => toml::Value::String(number.to_string()),
        },
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(toml).collect()),
        Value::Object(entries) => {
            toml::Value::Table(entries.iter().filter_map(|(key, value)| Some((key.clone(), toml(value)?))).collect())
        }
    })
}
