//! Event triggers of documents: `{signature, contractAddress, chainId, filter?}`.

use super::field::{Field, ImportError};
use super::{Options, abi, readable, values};
use crate::ingest::triggers::EventFilter;

/// Reads the parameters; gives back the field that what is wrong with the whole is about.
pub(super) fn read<'a>(params: &Field<'a>, options: &Options) -> Result<(EventFilter, Field<'a>), ImportError> {
    params.only(&["signature", "contractAddress", "chainId", "filter"])?;
    let signature = params.required("signature")?;
    let emitter = params.required("contractAddress")?.address()?;
    let chain_id = readable(&params.required("chainId")?, options)?;
    let (event, types) = abi::event(&signature)?;
    let mut topics = Vec::new();
    if let Some(filter) = params.optional("filter") {
        let mut left: Vec<_> = filter.entries()?.filter(|(_, field)| !field.value().is_null()).collect();
        for (param, of) in event.inputs.iter().zip(&types).filter(|(param, _)| param.indexed) {
            let found = left.iter().position(|(name, _)| *name == param.name).map(|at| left.swap_remove(at));
            topics.push(match found {
                None => Vec::new(),
                Some((_, field)) => accepted(&field, of)?,
            });
        }
        if let Some((name, field)) = left.first() {
            let problem = match event.inputs.iter().find(|param| param.name == *name) {
                Some(_) => format!(
                    "the signature does not say that {name:?} is indexed, and only then nodes can look for it: if it is, write `indexed {name}`"
                ),
                None => format!("the signature names no parameter {name:?}: write it as `type indexed {name}`"),
            };
            return Err(field.wrong(problem));
        }
        // Places after the last one that is filtered by say nothing.
        while topics.last().is_some_and(Vec::is_empty) {
            topics.pop();
        }
    }
    let field = params.optional("filter").unwrap_or(signature);
    Ok((EventFilter { chain_id, emitter, signature: event.selector(), topics }, field))
}

/// One value, or several of which any will do.
fn accepted(field: &Field<'_>, of: &alloy::dyn_abi::DynSolType) -> Result<Vec<alloy::primitives::B256>, ImportError> {
    let one = |field: &Field<'_>| values::topic(of, field.value()).map_err(|problem| field.wrong(problem));
    match field.items() {
        Ok(items) if items.len() == 0 => Err(field.wrong("no value would do: name one, or leave the filter out")),
        Ok(items) => items.map(|item| one(&item)).collect(),
        Err(_) => Ok(vec![one(field)?]),
    }
}
