//! JSON values as ABI values. Documents write everything as text, as `String(value)` gives it: numbers in digits, lists as
//! `1,2,3`.

use alloy::dyn_abi::{DynSolType, DynSolValue};
use alloy::primitives::{Address, B256, I256, U256, keccak256};
use serde_json::Value;

/// Digits of the longest number, with a sign and `0x`: 2^256 in binary is not written by anybody.
const MAX_DIGITS: usize = 80;
/// The most elements of all lists in one value.
const MAX_ELEMENTS: usize = 4_096;

/// The value as this type, or what is wrong with it.
pub(super) fn value(of: &DynSolType, json: &Value) -> Result<DynSolValue, String> {
    let mut left = MAX_ELEMENTS;
    convert(of, json, &mut left)
}

/// The value as the word that stands for it in a topic, or is compared as one; `None` for types that have none.
pub(super) fn word(of: &DynSolType, json: &Value) -> Result<Option<B256>, String> {
    Ok(value(of, json)?.as_word())
}

/// The value as it stands in a topic: a word, or the hash of bytes and texts.
pub(super) fn topic(of: &DynSolType, json: &Value) -> Result<B256, String> {
    match value(of, json)? {
        DynSolValue::Bytes(bytes) => Ok(keccak256(bytes)),
        DynSolValue::String(text) => Ok(keccak256(text)),
        other => other.as_word().ok_or_else(|| format!("a {} cannot be filtered by", of.sol_type_name())),
    }
}

fn convert(of: &DynSolType, json: &Value, left: &mut usize) -> Result<DynSolValue, String> {
    *left = left.checked_sub(1).ok_or_else(|| format!("it has more than {MAX_ELEMENTS} elements"))?;
    if let Value::String(text) = json {
        dynamic_reference(text)?;
    }
    match of {
        DynSolType::Bool => match json {
            Value::Bool(yes) => Ok(DynSolValue::Bool(*yes)),
            Value::String(text) if text == "true" || text == "false" => Ok(DynSolValue::Bool(text == "true")),
            _ => Err(not("true or false", json)),
        },
        DynSolType::Uint(bits) => {
            let number = unsigned(json)?.ok_or_else(|| not("a whole number, in digits", json))?;
            if number.bit_len() > *bits {
                return Err(not(&format!("a uint{bits}"), json));
            }
            Ok(DynSolValue::Uint(number, *bits))
        }
        DynSolType::Int(bits) => {
            let number = signed(json)?.ok_or_else(|| not("a whole number, in digits", json))?;
            // Two's complement: one bit is the sign's.
            let size = if number.is_negative() { (!number).into_raw().bit_len() } else { number.into_raw().bit_len() };
            if size + 1 > *bits {
                return Err(not(&format!("an int{bits}"), json));
            }
            Ok(DynSolValue::Int(number, *bits))
        }
        DynSolType::Address => {
            let text = json.as_str().filter(|text| text.len() == 42 && text.starts_with("0x"));
            let address = text.and_then(|text| text.parse::<Address>().ok());
            address.map(DynSolValue::Address).ok_or_else(|| not("an address: 0x and 40 hexadecimal digits", json))
        }
        DynSolType::FixedBytes(size) => {
            let bytes = hex(json).filter(|bytes| bytes.len() == *size);
            let bytes = bytes.ok_or_else(|| not(&format!("{size} bytes in hexadecimal, with 0x"), json))?;
            Ok(DynSolValue::FixedBytes(B256::right_padding_from(&bytes), *size))
        }
        DynSolType::Bytes => {
            hex(json).map(DynSolValue::Bytes).ok_or_else(|| not("bytes in hexadecimal, with 0x", json))
        }
        DynSolType::String => match json {
            Value::String(text) => Ok(DynSolValue::String(text.clone())),
            _ => Err(not("a text", json)),
        },
        DynSolType::Array(inner) => list(inner, None, json, left).map(DynSolValue::Array),
        DynSolType::FixedArray(inner, length) => list(inner, Some(*length), json, left).map(DynSolValue::FixedArray),
        DynSolType::Tuple(types) => {
            let items = json.as_array().filter(|items| items.len() == types.len());
            let items = items.ok_or_else(|| not(&format!("a list of the tuple's {} values", types.len()), json))?;
            let values = types.iter().zip(items).map(|(of, item)| convert(of, item, left));
            values.collect::<Result<_, _>>().map(DynSolValue::Tuple)
        }
        other => Err(format!("the type {} is not supported", other.sol_type_name())),
    }
}

fn list(inner: &DynSolType, length: Option<usize>, json: &Value, left: &mut usize) -> Result<Vec<DynSolValue>, String> {
    let split;
    let items = match json {
        Value::Array(items) => items.as_slice(),
        // A list that was made a text: told apart where the elements hold no commas themselves.
        Value::String(text) if plain(inner) => {
            let inside = text.trim().trim_start_matches('[').trim_end_matches(']').trim();
            let parts = inside.split(',').map(|part| Value::String(part.trim().trim_matches('"').to_owned()));
            split = if inside.is_empty() { Vec::new() } else { parts.take(MAX_ELEMENTS + 1).collect::<Vec<_>>() };
            &split
        }
        _ => return Err(not("a list", json)),
    };
    if length.is_some_and(|length| length != items.len()) {
        return Err(format!("it has {} elements, the type has {}", items.len(), length.unwrap_or_default()));
    }
    items.iter().map(|item| convert(inner, item, left)).collect()
}

fn plain(of: &DynSolType) -> bool {
    matches!(
        of,
        DynSolType::Bool
            | DynSolType::Uint(_)
            | DynSolType::Int(_)
            | DynSolType::Address
            | DynSolType::FixedBytes(_)
            | DynSolType::Bytes
    )
}

/// Values that are only known when the job runs.
fn dynamic_reference(text: &str) -> Result<(), String> {
    match ["$ref:", "$wasm:", "$data:"].into_iter().find(|prefix| text.starts_with(prefix)) {
        Some(prefix) => Err(format!(
            "a value that is read when the job runs ({prefix}) needs a script: publish a TypeScript workflow, which can read"
        )),
        None => Ok(()),
    }
}

/// A number that is not negative; `None` when it is none.
fn unsigned(json: &Value) -> Result<Option<U256>, String> {
    match json {
        Value::Number(number) if number.is_f64() => {
            Err(format!("{number} is not whole, or too large to be exact: write it as text, in digits"))
        }
        Value::Number(number) => Ok(number.as_u64().map(U256::from)),
        Value::String(text) if text.len() <= MAX_DIGITS => Ok(digits(text)),
        _ => Ok(None),
    }
}

fn signed(json: &Value) -> Result<Option<I256>, String> {
    let negative = match json {
        Value::Number(number) => {
            number.as_i64().filter(|number| *number < 0).map(|number| U256::from(number.unsigned_abs()))
        }
        Value::String(text) if text.len() <= MAX_DIGITS => text.strip_prefix('-').and_then(digits),
        _ => None,
    };
    if let Some(size) = negative {
        return Ok(I256::checked_from_sign_and_abs(alloy::primitives::Sign::Negative, size));
    }
    Ok(unsigned(json)?.and_then(|number| I256::try_from(number).ok()))
}

/// Decimal digits, or hexadecimal ones after `0x`.
fn digits(text: &str) -> Option<U256> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let right = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    right.then(|| U256::from_str_radix(digits, u64::from(radix)).ok()).flatten()
}

fn hex(json: &Value) -> Option<Vec<u8>> {
    let digits = json.as_str()?.strip_prefix("0x")?;
    alloy::hex::decode(digits).ok().filter(|_| !digits.starts_with("0x"))
}

fn not(wanted: &str, json: &Value) -> String {
    let text = json.to_string();
    let shown: String = text.chars().take(80).collect();
    format!("{shown}{} is not {wanted}", if shown.len() < text.len() { "…" } else { "" })
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
