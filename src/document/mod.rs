//! Ditto workflow documents: the declarative format that users have already, imported as it is.
//!
//! A document holds triggers and jobs; a job is a row of contract calls on one chain. [`import`] makes each job of the target
//! chain into a workflow that the registry takes: its triggers, and its calls, encoded once. No JavaScript is involved:
//! operators execute the [encoded calls](declared_calls) as they are, so what is content-hashed is exactly what runs.
//!
//! The document comes from anywhere. It is bounded in size and depth, and every error names the field, by its path, and what
//! to write instead.

mod abi;
mod calls;
mod condition;
mod event;
mod field;
mod jobs;
mod values;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use ditto_sandbox::Call;
use serde_json::Value;

pub use calls::{DeclaredError, declared_calls};
pub use field::ImportError;

use crate::build::policy::Rule;
use crate::ingest::triggers::{
    KIND_CONDITION, KIND_CRON, KIND_EVENT, KIND_INTERVAL, KIND_LIMIT, MAX_TRIGGERS, PublishedTrigger, Trigger,
    cron_names_a_day,
};
use field::Field;

/// The longest document, in bytes.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// The kinds of triggers that documents have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    /// By the clock.
    Cron,
    /// A log.
    Event,
    /// What a view function returns.
    Onchain,
}

/// What a document is imported for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// EIP-155 id of the chain that the network's operations execute on.
    pub target_chain: u64,
    /// The chains that the network's operators read, if known: triggers of others would never be due.
    pub readable: Option<Vec<u64>>,
    /// Leave out the jobs of other chains instead of refusing the document: they are listed, and each is to be imported for
    /// its own chain's network.
    pub split: bool,
}

/// A document, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The document's owner.
    pub owner: Address,
    /// One workflow for every job of the target chain.
    pub jobs: Vec<ImportedJob>,
    /// The jobs left out, with [`Options::split`].
    pub elsewhere: Vec<Elsewhere>,
}

/// A job, as a workflow that the registry takes. Its arguments are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedJob {
    /// The job's id in the document.
    pub id: String,
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// What is published as the workflow's code.
    pub code: Vec<u8>,
    /// Its keccak256.
    pub code_hash: B256,
    /// The document's triggers and limits.
    pub triggers: Vec<PublishedTrigger>,
    /// First second of its validity; zero: at once.
    pub valid_after: u64,
    /// Last second of its validity; zero: no end.
    pub valid_until: u64,
    /// What the session's policy must allow for these calls, and nothing more.
    pub rules: Vec<Rule>,
    /// The wei that one execution sends in all.
    pub value: U256,
}

/// A job of another chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The job's id in the document.
    pub id: String,
    /// Its chain.
    pub chain_id: u64,
}

/// Imports a document.
///
/// # Errors
/// Names the field by its path, and the fix.
pub fn import(document: &[u8], options: &Options) -> Result<Import, ImportError> {
    let parsed = parse(document)?;
    let root = Field::root(&parsed);
    root.only(&["workflow", "metadata"])?;
    let workflow = root.required("workflow")?;
    workflow.only(&["owner", "triggers", "jobs", "count", "validAfter", "validUntil", "interval"])?;
    let owner = workflow.required("owner")?.address()?;
    let (valid_after, valid_until) = window(&workflow)?;
    let triggers = triggers(&workflow, options)?;
    let (jobs, elsewhere) = jobs::read(&workflow.required("jobs")?, options)?;
    let jobs = jobs.into_iter().map(|job| {
        let code = calls::encode(&job.calls);
        ImportedJob {
            id: job.id,
            code_hash: keccak256(&code),
            code,
            triggers: triggers.clone(),
            valid_after,
            valid_until,
            rules: jobs::rules(&job.calls),
            value: jobs::value(&job.calls),
            calls: job.calls,
        }
    });
    Ok(Import { owner, jobs: jobs.collect(), elsewhere })
}

/// The chains that a document's jobs execute on, each once, in the order of the jobs.
///
/// # Errors
/// As [`import`], as far as is read.
pub fn chains(document: &[u8]) -> Result<Vec<u64>, ImportError> {
    let parsed = parse(document)?;
    let mut chains = Vec::new();
    for job in Field::root(&parsed).required("workflow")?.required("jobs")?.items()? {
        let chain_id = job.required("chainId")?.positive()?;
        if !chains.contains(&chain_id) {
            chains.push(chain_id);
        }
    }
    Ok(chains)
}

/// The parameters of one trigger by itself, as authors write them in a workflow's manifest, too, at `path`.
///
/// # Errors
/// Names the field by its path, and the fix.
pub fn single_trigger(
    kind: TriggerKind,
    params: &Value,
    path: &str,
    options: &Options,
) -> Result<PublishedTrigger, ImportError> {
    published(kind, &Field::named(params, path), options)
}

/// A job's steps by themselves, `[{target, abi, args?, value?}]`, as authors write them in a workflow's manifest, too, at
/// `path`: the calls, and what is published as code.
///
/// # Errors
/// Names the field by its path, and the fix.
pub fn declared_steps(steps: &Value, path: &str) -> Result<(Vec<Call>, Vec<u8>), ImportError> {
    let calls = jobs::steps(&Field::named(steps, path))?;
    let code = calls::encode(&calls);
    Ok((calls, code))
}

/// The document as JSON, bounded in size and depth.
///
/// # Errors
/// When it is too long or no JSON.
pub fn parse(document: &[u8]) -> Result<Value, ImportError> {
    if document.len() > MAX_DOCUMENT {
        let problem = format!("the document has {} bytes, {MAX_DOCUMENT} are read", document.len());
        return Err(ImportError::new("", problem));
    }
    // The parser bounds the depth.
    serde_json::from_slice(document)
        .map_err(|error| ImportError::new("", format!("this is not JSON that can be read: {error}")))
}

/// First and last second of the validity, zero where there is none.
fn window(workflow: &Field<'_>) -> Result<(u64, u64), ImportError> {
    // Beyond this, the number is one of milliseconds: as seconds it is the year 5138.
    const LATEST: u64 = 100_000_000_000;
    let seconds = |name| {
        let Some(field) = workflow.optional(name) else { return Ok(0) };
        match field.positive()? {
            seconds if seconds < LATEST => Ok(seconds),
            found => Err(field.wrong(format!("{found} looks like milliseconds: write Unix seconds"))),
        }
    };
    let (after, until) = (seconds("validAfter")?, seconds("validUntil")?);
    if until != 0 && after >= until {
        let problem = format!("it is not after validAfter ({after}), so the workflow would never run");
        return Err(ImportError::new("workflow.validUntil", problem));
    }
    Ok((after, until))
}

fn triggers(workflow: &Field<'_>, options: &Options) -> Result<Vec<PublishedTrigger>, ImportError> {
    let list = workflow.required("triggers")?;
    let mut triggers = list.items()?.map(|field| trigger(&field, options)).collect::<Result<Vec<_>, _>>()?;
    let positive =
        |name| workflow.optional(name).map(|field| field.positive()).transpose().map(Option::unwrap_or_default);
    let (count, interval) = (positive("count")?, positive("interval")?);
    if triggers.is_empty() {
        // Such documents run as soon as they are valid.
        if count == 0 {
            let problem = "there is none, so the workflow would run in every slot for ever: add one, or a count";
            return Err(list.wrong(problem));
        }
        triggers.push(PublishedTrigger { kind: KIND_INTERVAL, data: (1u64, 0u64).abi_encode() });
    }
    if count | interval != 0 {
        triggers.push(PublishedTrigger { kind: KIND_LIMIT, data: (count, interval).abi_encode() });
    }
    if triggers.len() > MAX_TRIGGERS {
        let problem =
            format!("they come to {} with count and interval, the registry takes {MAX_TRIGGERS}", triggers.len());
        return Err(list.wrong(problem));
    }
    Ok(triggers)
}

fn trigger(field: &Field<'_>, options: &Options) -> Result<PublishedTrigger, ImportError> {
    field.only(&["type", "params"])?;
    let kind = field.required("type")?;
    let params = field.required("params")?;
    let found = match kind.text()? {
        "cron" => TriggerKind::Cron,
        "event" => TriggerKind::Event,
        "onchain" => TriggerKind::Onchain,
        "time" => {
            return Err(kind.wrong("an instant is no trigger here: write it as workflow.validAfter, with a count of 1"));
        }
        other => return Err(kind.wrong(format!("{other:?} is not known: cron, event and onchain are"))),
    };
    published(found, &params, options)
}

fn published(kind: TriggerKind, params: &Field<'_>, options: &Options) -> Result<PublishedTrigger, ImportError> {
    match kind {
        TriggerKind::Cron => cron(params),
        TriggerKind::Event => event::read(params, options)
            .map(|(event, field)| event.published().map_err(|problem| field.wrong(problem)))?
            .map(|data| PublishedTrigger { kind: KIND_EVENT, data }),
        TriggerKind::Onchain => condition::read(params, options)?
            .published()
            .map_err(|problem| params.wrong(problem))
            .map(|data| PublishedTrigger { kind: KIND_CONDITION, data }),
    }
}

fn cron(params: &Field<'_>) -> Result<PublishedTrigger, ImportError> {
    params.only(&["schedule"])?;
    let schedule = params.required("schedule")?;
    let text = schedule.text()?;
    // The registry counts fields parted by spaces.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Trigger::parse(KIND_CRON, text.as_bytes()).map_err(|error| {
        schedule
            .wrong(format!("{error}; write minute, hour, day of month, month and day of week, in UTC: \"*/5 * * * *\""))
    })?;
    if !cron_names_a_day(&text) {
        return Err(schedule.wrong(format!("{text:?} names a date that no year has, so the workflow would never run")));
    }
    Ok(PublishedTrigger { kind: KIND_CRON, data: text.into_bytes() })
}

/// A chain that a trigger reads.
fn readable(field: &Field<'_>, options: &Options) -> Result<u64, ImportError> {
    let chain_id = field.positive()?;
    match &options.readable {
        Some(chains) if !chains.contains(&chain_id) => {
            let known = chains.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            Err(field.wrong(format!("operators of this network do not read chain {chain_id}; they read {known}")))
        }
        _ => Ok(chain_id),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
