//! Jobs of documents: rows of `{target, abi, args, value}`, made into calls.

use std::collections::{BTreeMap, HashSet};

use alloy::dyn_abi::{DynSolType, DynSolValue, JsonAbiExt};
use alloy::primitives::{Address, FixedBytes, U256};
use ditto_core::proposal::MAX_CALL_DATA;
use ditto_sandbox::Call;

use super::abi::{self, Signature};
use super::calls::{self, MAX_CALLS};
use super::field::{Field, ImportError};
use super::{Elsewhere, Options, values};
use crate::build::policy::Rule;

/// The longest id of a job, in bytes.
const MAX_ID: usize = 256;

/// A job's id and its calls.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) calls: Vec<Call>,
}

/// The jobs of the target chain, and those of others.
pub(super) fn read(list: &Field<'_>, options: &Options) -> Result<(Vec<Job>, Vec<Elsewhere>), ImportError> {
    let (mut here, mut elsewhere, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
    for field in list.items()? {
        field.only(&["id", "chainId", "steps", "session"])?;
        let id_field = field.required("id")?;
        let id = id_field.text()?;
        if id.is_empty() || id.len() > MAX_ID {
            return Err(id_field.wrong(format!("an id has 1 to {MAX_ID} bytes")));
        }
        if !ids.insert(id) {
            return Err(id_field.wrong(format!("another job has the id {id:?} already")));
        }
        // The session is another system's: accounts give theirs on the chain.
        if let Some(session) = field.optional("session") {
            session.text()?;
        }
        let chain_field = field.required("chainId")?;
        let chain_id = chain_field.positive()?;
        if chain_id == options.target_chain {
            here.push(Job { id: id.to_owned(), calls: steps(&field.required("steps")?)? });
        } else if options.split {
            elsewhere.push(Elsewhere { id: id.to_owned(), chain_id });
        } else {
            return Err(chain_field.wrong(format!(
                "job {id:?} executes on chain {chain_id}, this network's operations on chain {}: import the document for \
                 each chain's network, with only that chain's jobs",
                options.target_chain
            )));
        }
    }
    if here.is_empty() {
        return Err(list
            .wrong(format!("no job executes on chain {}, where this network's operations do", options.target_chain)));
    }
    Ok((here, elsewhere))
}

/// The calls of a list of steps.
pub(super) fn steps(list: &Field<'_>) -> Result<Vec<Call>, ImportError> {
    let items = list.items()?;
    if items.len() == 0 || items.len() > MAX_CALLS {
        return Err(list.wrong(format!("it has {} steps; 1 to {MAX_CALLS} fit one operation", items.len())));
    }
    let found = items.map(|step| call(&step)).collect::<Result<Vec<_>, _>>()?;
    let size = calls::encode(&found).len();
    if size > MAX_CALL_DATA {
        return Err(list.wrong(format!("the calls take {size} bytes, an operation has {MAX_CALL_DATA}: split the job")));
    }
    Ok(found)
}

fn call(step: &Field<'_>) -> Result<Call, ImportError> {
    // What tools add to every step counts only where it says something.
    step.only(&["target", "abi", "args", "value", "type", "wasmHash", "wasmInput", "wasmId", "wasmTimeoutMs"])?;
    if let Some(kind) = step.optional("type")
        && kind.text()? != "contract"
    {
        return Err(kind.wrong("only contract calls are declared: publish a TypeScript workflow, which can compute"));
    }
    let to = step.required("target")?.address()?;
    let value = match step.optional("value") {
        None => U256::ZERO,
        Some(field) => match values::value(&DynSolType::Uint(256), field.value()) {
            Ok(DynSolValue::Uint(value, _)) => value,
            Ok(_) => U256::ZERO,
            Err(problem) => return Err(field.wrong(problem)),
        },
    };
    let abi_field = step.required("abi")?;
    let data = if abi_field.text()?.is_empty() {
        if let Some(args) = step.optional("args")
            && args.items()?.len() > 0
        {
            return Err(args.wrong("a plain transfer (an empty abi) takes no arguments"));
        }
        Vec::new()
    } else {
        let signature = abi::function(&abi_field)?;
        let values = arguments(&signature, step)?;
        signature.function.abi_encode_input(&values).map_err(|error| abi_field.wrong(error.to_string()))?
    };
    Ok(Call { to: to.into(), value: value.to_be_bytes(), data })
}

/// The values of `args`, for a signature's parameters.
pub(super) fn arguments(signature: &Signature, of: &Field<'_>) -> Result<Vec<DynSolValue>, ImportError> {
    let args = of.required("args")?;
    let items = args.items()?;
    let wanted = signature.inputs.len();
    if items.len() != wanted {
        return Err(args.wrong(format!(
            "{} values for {}, which takes {wanted}",
            items.len(),
            signature.function.signature()
        )));
    }
    let values = signature.inputs.iter().zip(items);
    values.map(|(of, item)| values::value(of, item.value()).map_err(|problem| item.wrong(problem))).collect()
}

/// What a policy must allow: every target and selector once, with the most that one call of it sends.
pub(super) fn rules(calls: &[Call]) -> Vec<Rule> {
    let mut rules = BTreeMap::<(Address, FixedBytes<4>), U256>::new();
    for call in calls {
        let selector = call.data.first_chunk::<4>().map_or(FixedBytes::ZERO, FixedBytes::from);
        let most = rules.entry((Address::from(call.to), selector)).or_default();
        *most = U256::from_be_bytes(call.value).max(*most);
    }
    rules.into_iter().map(|((target, selector), most)| Rule { target, selector, maxValue: most }).collect()
}

/// The wei that the calls send in all.
pub(super) fn value(calls: &[Call]) -> U256 {
    calls.iter().fold(U256::ZERO, |sum, call| sum.saturating_add(U256::from_be_bytes(call.value)))
}
