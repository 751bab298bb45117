//! Condition triggers of documents: `{target, abi, args, value?, chainId, onchainCondition?}`.
//!
//! A signature that does not say what it returns is taken to return a boolean, and without a condition true is wanted: so the
//! documents' own tools have it.

use alloy::dyn_abi::{DynSolType, JsonAbiExt};
use alloy::primitives::{B256, Bytes};
use serde_json::Value;

use super::field::{Field, ImportError};
use super::{Options, abi, jobs, readable, values};
use crate::ingest::triggers::{Comparison, Condition, Reading};

/// The comparisons' names, at the numbers that older documents write.
const NAMES: [(&str, Comparison); 7] = [
    ("EQUAL", Comparison::Equal),
    ("GREATER_THAN", Comparison::GreaterThan),
    ("LESS_THAN", Comparison::LessThan),
    ("GREATER_THAN_OR_EQUAL", Comparison::GreaterThanOrEqual),
    ("LESS_THAN_OR_EQUAL", Comparison::LessThanOrEqual),
    ("NOT_EQUAL", Comparison::NotEqual),
    ("ONE_OF", Comparison::OneOf),
];

pub(super) fn read(params: &Field<'_>, options: &Options) -> Result<Condition, ImportError> {
    params.only(&["target", "abi", "args", "value", "chainId", "onchainCondition"])?;
    let target = params.required("target")?.address()?;
    let chain_id = readable(&params.required("chainId")?, options)?;
    let abi_field = params.required("abi")?;
    let signature = abi::function(&abi_field)?;
    let values = jobs::arguments(&signature, params)?;
    let data = signature.function.abi_encode_input(&values).map_err(|error| abi_field.wrong(error.to_string()))?;
    if let Some(field) = params.optional("value")
        && values::word(&DynSolType::Uint(256), field.value()).map_err(|problem| field.wrong(problem))?
            != Some(B256::ZERO)
    {
        return Err(field.wrong("a condition only reads, so it sends nothing: remove it"));
    }
    let of = match signature.outputs.as_slice() {
        [] => &DynSolType::Bool,
        [one] => one,
        several => {
            let problem = format!(
                "it returns {} values and a condition compares one: ask a function that returns it alone",
                several.len()
            );
            return Err(abi_field.wrong(problem));
        }
    };
    let (comparison, operands) = match params.optional("onchainCondition") {
        Some(condition) => wanted(&condition, of, signature.returns)?,
        None if *of == DynSolType::Bool => (Comparison::Equal, vec![B256::with_last_byte(1).into()]),
        None => {
            let problem = "it is missing, and the function does not return a boolean: say what its result must be";
            return Err(ImportError::new(format!("{}.onchainCondition", params.path()), problem));
        }
    };
    let reading = match of {
        DynSolType::Int(_) => Reading::Signed,
        DynSolType::Bytes | DynSolType::String => Reading::Dynamic,
        DynSolType::Array(_) | DynSolType::FixedArray(..) | DynSolType::Tuple(_) => {
            return Err(abi_field.wrong(format!("a {} cannot be compared: ask for one value", of.sol_type_name())));
        }
        _ => Reading::Unsigned,
    };
    Ok(Condition { chain_id, target, data: data.into(), position: 0, reading, comparison, operands })
}

fn wanted(field: &Field<'_>, of: &DynSolType, returns: bool) -> Result<(Comparison, Vec<Bytes>), ImportError> {
    field.only(&["condition", "value"])?;
    let name = field.required("condition")?;
    let found = match name.value() {
        Value::String(text) => NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)),
        Value::Number(number) => number.as_u64().and_then(|at| NAMES.get(usize::try_from(at).ok()?)),
        _ => None,
    };
    let Some((_, comparison)) = found else {
        let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
        return Err(name.wrong(format!("{} is not a condition: {} are", name.value(), known.join(", "))));
    };
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual | Comparison::OneOf);
    if ordered && !matches!(of, DynSolType::Uint(_) | DynSolType::Int(_)) {
        let problem = format!("a {} has no order, so only EQUAL, NOT_EQUAL and ONE_OF compare it", of.sol_type_name());
        let hint = if returns {
            ""
        } else {
            "; the signature does not say what it returns: add for example \"returns (uint256)\""
        };
        return Err(name.wrong(problem + hint));
    }
    let value = field.required("value")?;
    let operands = if *comparison == Comparison::OneOf {
        let items = value.items()?;
        if items.len() == 0 {
            return Err(value.wrong("it names no value, so the workflow would never run"));
        }
        items.map(|item| operand(&item, of)).collect::<Result<_, _>>()?
    } else {
        vec![operand(&value, of)?]
    };
    Ok((*comparison, operands))
}

fn operand(field: &Field<'_>, of: &DynSolType) -> Result<Bytes, ImportError> {
    let value = values::value(of, field.value()).map_err(|problem| field.wrong(problem))?;
    Ok(match (value.as_word(), value.as_bytes(), value.as_str()) {
        (Some(word), ..) => word.into(),
        (None, Some(bytes), _) => Bytes::copy_from_slice(bytes),
        (None, None, Some(text)) => Bytes::copy_from_slice(text.as_bytes()),
        _ => return Err(field.wrong(format!("a {} cannot be compared", of.sol_type_name()))),
    })
}
