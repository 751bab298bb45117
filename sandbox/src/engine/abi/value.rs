//! Values between JSON and the ABI.

use alloy::{
    dyn_abi::{DynSolType, DynSolValue},
    primitives::{Address, B256, I256, U256, hex},
};
use serde_json::Value;

use super::{MAX_SAFE, Parameter};

type Coerced = Result<DynSolValue, String>;

/// The arguments of a call, as the SDK writes them.
pub(super) fn list(text: &str) -> Result<Vec<Value>, String> {
    serde_json::from_str(text).map_err(|error| {
        if error.is_data() { "the arguments must be an array".to_string() } else { format!("the arguments: {error}") }
    })
}

/// A string that the workflow wrote as a string.
fn text(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    match text.strip_prefix('\0') {
        None => Some(text),
        Some(tagged) => tagged.strip_prefix('s'),
    }
}

/// What a value is by its type. `at` names it in messages.
pub(super) fn coerce(kind: &DynSolType, components: &[Parameter], value: &Value, at: &str) -> Coerced {
    let wrong = |expected: &str| format!("{at}: expected {expected}, got {}", short(value));
    Ok(match kind {
        DynSolType::Bool => DynSolValue::Bool(value.as_bool().ok_or_else(|| wrong("a boolean"))?),
        DynSolType::Uint(bits) => {
            let number = integer(value).filter(|(negative, number)| !negative && number.bit_len() <= *bits);
            DynSolValue::Uint(number.ok_or_else(|| wrong(&format!("a uint{bits}")))?.1, *bits)
        }
        DynSolType::Int(bits) => {
            let number = integer(value).and_then(|(negative, number)| signed(negative, number, *bits));
            DynSolValue::Int(number.ok_or_else(|| wrong(&format!("an int{bits}")))?, *bits)
        }
        DynSolType::Address => {
            DynSolValue::Address(text(value).and_then(checked_address).ok_or_else(|| wrong("an address"))?)
        }
        DynSolType::Bytes => DynSolValue::Bytes(hex_value(value).ok_or_else(|| wrong("0x hex of whole bytes"))?),
        DynSolType::FixedBytes(size) => {
            let data = hex_value(value)
                .filter(|data| data.len() == *size)
                .ok_or_else(|| wrong(&format!("{size} bytes of 0x hex")))?;
            DynSolValue::FixedBytes(B256::right_padding_from(&data), *size)
        }
        DynSolType::String => DynSolValue::String(text(value).ok_or_else(|| wrong("a string"))?.to_string()),
        DynSolType::Array(inner) => DynSolValue::Array(elements(inner, components, value, at)?),
        DynSolType::FixedArray(inner, length) => {
            let list = elements(inner, components, value, at)?;
            if list.len() != *length {
                return Err(wrong(&format!("{length} elements")));
            }
            DynSolValue::FixedArray(list)
        }
        DynSolType::Tuple(kinds) => {
            let field = |index: usize| components.get(index).map_or("", Parameter::name);
            let nested = |index: usize| components.get(index).map_or(&[][..], |one| &one.components);
            DynSolValue::Tuple(fields(kinds, field, nested, value, at)?)
        }
        DynSolType::CustomStruct { name, prop_names, tuple } => {
            if value.is_array() {
                return Err(wrong(&format!("an object with the fields of {name}")));
            }
            let field = |index: usize| prop_names.get(index).map_or("", String::as_str);
            DynSolValue::CustomStruct {
                name: name.clone(),
                prop_names: prop_names.clone(),
                tuple: fields(tuple, field, |_| &[][..], value, at)?,
            }
        }
        DynSolType::Function => return Err(format!("{at}: function values are not supported")),
    })
}

fn elements(inner: &DynSolType, components: &[Parameter], value: &Value, at: &str) -> Result<Vec<DynSolValue>, String> {
    let list = value.as_array().ok_or_else(|| format!("{at}: expected an array, got {}", short(value)))?;
    list.iter().enumerate().map(|(index, value)| coerce(inner, components, value, &format!("{at}[{index}]"))).collect()
}

/// A tuple is written as an array, or as an object by its components' names.
fn fields<'p>(
    kinds: &[DynSolType],
    name: impl Fn(usize) -> &'p str,
    nested: impl Fn(usize) -> &'p [Parameter],
    value: &Value,
    at: &str,
) -> Result<Vec<DynSolValue>, String> {
    let mut out = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.iter().enumerate() {
        let field = match value {
            Value::Array(list) => list.get(index),
            Value::Object(map) => map.get(name(index)),
            _ => return Err(format!("{at}: expected an object or an array, got {}", short(value))),
        };
        let place = if name(index).is_empty() { format!("{at}[{index}]") } else { format!("{at}.{}", name(index)) };
        let field = field.ok_or_else(|| format!("{place}: missing"))?;
        out.push(coerce(kind, nested(index), field, &place)?);
    }
    Ok(out)
}

/// Sign and magnitude of what JavaScript's `BigInt` takes for an integer: a bigint, a whole number, or a string of one.
fn integer(value: &Value) -> Option<(bool, U256)> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.strip_prefix("\0n").unwrap_or(text).trim().to_string(),
        _ => return None,
    };
    // A sign is for decimal digits only.
    let sign =
        text.strip_prefix('-').map(|digits| (true, digits)).or(text.strip_prefix('+').map(|digits| (false, digits)));
    let (negative, digits) = sign.unwrap_or((false, text.as_str()));
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") if sign.is_none() => (16, digits.get(2..)?),
        Some("0o" | "0O") if sign.is_none() => (8, digits.get(2..)?),
        Some("0b" | "0B") if sign.is_none() => (2, digits.get(2..)?),
        _ => (10, digits),
    };
    if digits.is_empty() {
        // An empty string is zero, a lone sign or prefix is nothing.
        return (radix == 10 && sign.is_none()).then_some((false, U256::ZERO));
    }
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    U256::from_str_radix(digits, u64::from(radix)).ok().map(|number| (negative, number))
}

fn signed(negative: bool, number: U256, bits: usize) -> Option<I256> {
    let limit = U256::ONE << (bits - 1);
    let fits = if negative { number <= limit } else { number < limit };
    let raw = I256::from_raw(number);
    fits.then(|| if negative { raw.wrapping_neg() } else { raw })
}

/// An address in lower case or with its checksum right.
fn checked_address(text: &str) -> Option<Address> {
    let address: Address = text.strip_prefix("0x").filter(|digits| digits.len() == 40)?.parse().ok()?;
    let plain = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (plain || address.to_checksum(None) == text).then_some(address)
}

fn hex_value(value: &Value) -> Option<Vec<u8>> {
    hex::decode(hex_digits(text(value)?)?).ok()
}

/// What follows one `0x`, if it is hex: the decoder would let a second one pass.
pub(super) fn hex_digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.starts_with("\0n") => format!("{}n", text.trim_start_matches("\0n")),
        other => other.to_string(),
    };
    if text.chars().count() > 80 { format!("{}...", text.chars().take(77).collect::<String>()) } else { text }
}

/// The same layout with everything in it that decoding would judge or change: viem refuses a bool other than 0 and 1, and
/// reads any bytes as a string.
pub(super) fn raw(kind: &DynSolType) -> DynSolType {
    match kind {
        DynSolType::Bool => DynSolType::Uint(256),
        DynSolType::String => DynSolType::Bytes,
        DynSolType::Array(inner) => DynSolType::Array(Box::new(raw(inner))),
        DynSolType::FixedArray(inner, length) => DynSolType::FixedArray(Box::new(raw(inner)), *length),
        DynSolType::Tuple(inner) => DynSolType::Tuple(inner.iter().map(raw).collect()),
        other => other.clone(),
    }
}

/// Text of bytes as a web decoder reads it: what is not UTF-8 is replaced, a byte order mark is dropped.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    String::from_utf8_lossy(text).into_owned()
}

/// Writes a value that was decoded by the [`raw`] type of `kind`.
pub(super) fn show(
    kind: &DynSolType,
    components: &[Parameter],
    value: &DynSolValue,
    out: &mut String,
) -> Result<(), String> {
    match (kind, value) {
        (DynSolType::Bool, DynSolValue::Uint(number, _)) => match *number {
            U256::ZERO => out.push_str("false"),
            U256::ONE => out.push_str("true"),
            other => return Err(format!("the data does not fit the ABI: {other} is not a bool")),
        },
        (DynSolType::Uint(bits), DynSolValue::Uint(number, _)) => {
            if *bits > 48 {
                out.push_str(&format!("\"n{number}\""));
            } else if *number <= MAX_SAFE {
                out.push_str(&number.to_string());
            } else {
                return Err(format!("the data does not fit the ABI: {number} is not a uint{bits}"));
            }
        }
        (DynSolType::Int(bits), DynSolValue::Int(number, _)) => {
            if *bits > 48 {
                out.push_str(&format!("\"n{number}\""));
            } else if number.unsigned_abs() <= MAX_SAFE {
                out.push_str(&number.to_string());
            } else {
                return Err(format!("the data does not fit the ABI: {number} is not an int{bits}"));
            }
        }
        (_, DynSolValue::Address(address)) => out.push_str(&format!("\"s{}\"", address.to_checksum(None))),
        (DynSolType::String, DynSolValue::Bytes(data)) => {
            out.push_str(&Value::String(format!("s{}", text_of(data))).to_string());
        }
        (_, DynSolValue::Bytes(data)) => out.push_str(&format!("\"s{}\"", hex::encode_prefixed(data))),
        (_, DynSolValue::FixedBytes(word, size)) => {
            out.push_str(&format!("\"s{}\"", hex::encode_prefixed(word.get(..*size).unwrap_or_default())));
        }
        (DynSolType::Array(inner), DynSolValue::Array(list))
        | (DynSolType::FixedArray(inner, _), DynSolValue::FixedArray(list)) => {
            out.push('[');
            for (index, value) in list.iter().enumerate() {
                separate(index, out);
                show(inner, components, value, out)?;
            }
            out.push(']');
        }
        (DynSolType::Tuple(kinds), DynSolValue::Tuple(fields)) => {
            let named = !components.is_empty() && components.iter().all(|one| !one.name().is_empty());
            out.push(if named { '{' } else { '[' });
            for (index, ((kind, value), component)) in kinds.iter().zip(fields).zip(components).enumerate() {
                separate(index, out);
                if named {
                    out.push_str(&Value::String(component.name().to_string()).to_string());
                    out.push(':');
                }
                show(kind, &component.components, value, out)?;
            }
            out.push(if named { '}' } else { ']' });
        }
        _ => return Err("the data does not fit the ABI".into()),
    }
    Ok(())
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

/// Solidity's packed encoding: nothing is padded but an array's elements.
pub(super) fn pack(value: &DynSolValue, in_array: bool, out: &mut Vec<u8>) {
    match value {
        DynSolValue::Array(list) | DynSolValue::FixedArray(list) => {
            for value in list {
                pack(value, true, out);
            }
        }
        DynSolValue::String(_) | DynSolValue::Bytes(_) => value.abi_encode_packed_to(out),
        word => match word.as_word().filter(|_| in_array) {
            Some(word) => out.extend_from_slice(word.as_slice()),
            None => word.abi_encode_packed_to(out),
        },
    }
}
