//! Signatures as documents write them: `transfer(address,uint256)`, with or without `function`, names and `returns`.

use alloy::dyn_abi::DynSolType;
use alloy::json_abi::{Event, Function};

use super::field::{Field, ImportError};

/// The longest signature, in bytes.
const MAX_SIGNATURE: usize = 2_048;
/// The most brackets in one: the parsers recurse.
const MAX_BRACKETS: usize = 64;

/// A function and the types of its parameters and results.
pub(super) struct Signature {
    pub(super) function: Function,
    pub(super) inputs: Vec<DynSolType>,
    pub(super) outputs: Vec<DynSolType>,
    /// Whether it says what it returns.
    pub(super) returns: bool,
}

/// Reads a function's signature.
pub(super) fn function(field: &Field<'_>) -> Result<Signature, ImportError> {
    let text = bounded(field)?;
    let example = "write it like \"balanceOf(address) returns (uint256)\"";
    let wrong = |cause: String| field.wrong(format!("{text:?} is not a function's signature ({cause}); {example}"));
    let function = Function::parse(text).map_err(|error| wrong(one_line(&error)))?;
    let types = |params: &[alloy::json_abi::Param]| {
        let known = params.iter().map(|param| known(&param.selector_type()));
        known.collect::<Result<Vec<_>, _>>()
    };
    let inputs = types(&function.inputs).map_err(wrong)?;
    let outputs = types(&function.outputs).map_err(wrong)?;
    let returns = !outputs.is_empty();
    Ok(Signature { function, inputs, outputs, returns })
}

/// Reads an event's signature; the types are those of its parameters.
pub(super) fn event(field: &Field<'_>) -> Result<(Event, Vec<DynSolType>), ImportError> {
    let text = bounded(field)?;
    let example = "write it like \"Transfer(address indexed from, address indexed to, uint256 value)\"";
    let wrong = |cause: String| field.wrong(format!("{text:?} is not an event's signature ({cause}); {example}"));
    let event = Event::parse(text).map_err(|error| wrong(one_line(&error)))?;
    if event.anonymous {
        return Err(field.wrong("an anonymous event cannot be told from others: name another one"));
    }
    let types =
        event.inputs.iter().map(|param| known(&param.selector_type())).collect::<Result<_, _>>().map_err(wrong)?;
    Ok((event, types))
}

fn bounded<'a>(field: &Field<'a>) -> Result<&'a str, ImportError> {
    let text = field.text()?.trim();
    if text.len() > MAX_SIGNATURE {
        return Err(field.wrong(format!("the signature has {} bytes, {MAX_SIGNATURE} are read", text.len())));
    }
    if text.bytes().filter(|byte| matches!(byte, b'(' | b'[')).count() > MAX_BRACKETS {
        return Err(field.wrong(format!("the signature has more than {MAX_BRACKETS} brackets")));
    }
    Ok(text)
}

/// The signature's parser takes any word for a type; a misspelled one would give another selector.
fn known(name: &str) -> Result<DynSolType, String> {
    let found = name.parse::<DynSolType>().map_err(|_| format!("{name:?} is not a type"))?;
    if found.sol_type_name() == name {
        Ok(found)
    } else {
        Err(format!("{name:?} is written {:?}", found.sol_type_name()))
    }
}

fn one_line(error: &impl ToString) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
