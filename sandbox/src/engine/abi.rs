//! ABI coding for the SDK: values cross as JSON text and are read by the types of the ABI.
//!
//! Into Rust an integer is a JSON number or a decimal or hex string. Out of Rust every string carries a letter: `n` before
//! the digits of an integer that needs a bigint, `s` before anything else. Integers of up to 48 bits are numbers, as in viem.

use alloy::{
    dyn_abi::{DynSolType, DynSolValue, Specifier},
    json_abi::{AbiItem, Function, Param},
    primitives::{Address, B256, Bytes, I256, U256, hex, keccak256},
};
use serde_json::{Map, Value};

type Answer = Result<String, String>;

/// Human-readable signatures to JSON ABI items, in their order.
pub(super) fn parse(signatures: &str) -> Answer {
    let signatures: Vec<String> =
        serde_json::from_str(signatures).map_err(|_| "parseAbi: expected an array of strings".to_string())?;
    let items = signatures.iter().map(|text| parse_item(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[{}]", items.join(",")))
}

fn parse_item(text: &str) -> Answer {
    let text = text.trim();
    if text.starts_with("struct ") {
        return Err(format!("parseAbi: structs are not supported; write the tuple out in \"{text}\""));
    }
    let item = AbiItem::parse(text).map_err(|error| format!("parseAbi: \"{text}\": {error}"))?;
    match item {
        // A function prints without its type when it is not serialised as an item.
        AbiItem::Function(function) => to_json(&*function),
        other => to_json(&other),
    }
}

fn to_json<T: serde::Serialize>(item: &T) -> Answer {
    serde_json::to_string(item).map_err(|error| format!("parseAbi: {error}"))
}

fn params(text: &str) -> Result<Vec<Param>, String> {
    serde_json::from_str(text).map_err(|error| format!("not ABI parameters: {error}"))
}

fn values(text: &str) -> Result<Vec<Value>, String> {
    serde_json::from_str(text).map_err(|_| "the arguments must be an array".to_string())
}

/// Selector and arguments.
pub(super) fn encode_function(item: &str, args: &str) -> Answer {
    let function: Function = serde_json::from_str(item).map_err(|error| format!("not an ABI function: {error}"))?;
    let mut out = function.selector().to_vec();
    out.extend(encode(&function.inputs, &values(args)?, &function.name)?);
    Ok(hex::encode_prefixed(out))
}

pub(super) fn encode_params(parameters: &str, args: &str) -> Answer {
    Ok(hex::encode_prefixed(encode(&params(parameters)?, &values(args)?, "encodeAbiParameters")?))
}

fn encode(inputs: &[Param], args: &[Value], caller: &str) -> Result<Vec<u8>, String> {
    if inputs.len() != args.len() {
        return Err(format!("{caller}: takes {} arguments, got {}", inputs.len(), args.len()));
    }
    let mut coded = Vec::with_capacity(args.len());
    for (index, (param, value)) in inputs.iter().zip(args).enumerate() {
        let name = if param.name.is_empty() { index.to_string() } else { param.name.clone() };
        coded.push(coerce(&type_of(param)?, &param.components, value, &format!("{caller}: {name}"))?);
    }
    Ok(DynSolValue::Tuple(coded).abi_encode_params())
}

pub(super) fn decode_params(parameters: &str, data: &str) -> Answer {
    let parameters = params(parameters)?;
    let data = bytes(data)?;
    let types = parameters.iter().map(type_of).collect::<Result<Vec<_>, _>>()?;
    if types.is_empty() {
        return Ok("[]".into());
    }
    if data.is_empty() {
        return Err("the data is empty: is there a contract at the address?".into());
    }
    let decoded = DynSolType::Tuple(types)
        .abi_decode_params(&data)
        .map_err(|error| format!("the data does not fit the ABI: {error}"))?;
    let DynSolValue::Tuple(decoded) = decoded else { return Err("the data does not fit the ABI".into()) };
    let out: Vec<Value> =
        parameters.iter().zip(&decoded).map(|(param, value)| show(value, &param.components)).collect();
    serde_json::to_string(&out).map_err(|error| error.to_string())
}

pub(super) fn encode_packed(types: &str, args: &str) -> Answer {
    let types: Vec<String> =
        serde_json::from_str(types).map_err(|_| "encodePacked: expected an array of types".to_string())?;
    let args = values(args)?;
    if types.len() != args.len() {
        return Err(format!("encodePacked: {} types for {} values", types.len(), args.len()));
    }
    let mut out = Vec::new();
    for (index, (text, value)) in types.iter().zip(&args).enumerate() {
        let kind = DynSolType::parse(text).map_err(|error| format!("encodePacked: {error}"))?;
        coerce(&kind, &[], value, &format!("encodePacked: {index}"))?.abi_encode_packed_to(&mut out);
    }
    Ok(hex::encode_prefixed(out))
}

/// The first four bytes of a signature's hash; names and spaces are dropped.
pub(super) fn selector(signature: &str) -> Answer {
    let function =
        Function::parse(signature).map_err(|error| format!("toFunctionSelector: \"{signature}\": {error}"))?;
    Ok(hex::encode_prefixed(function.selector()))
}

pub(super) fn keccak(data: &str) -> Answer {
    Ok(hex::encode_prefixed(keccak256(bytes(data)?)))
}

pub(super) fn checksum(address: &str) -> Answer {
    let address: Address = address.parse().map_err(|_| format!("{address} is not an address"))?;
    Ok(address.to_checksum(None))
}

pub(super) fn utf8_to_hex(text: &str) -> Answer {
    Ok(hex::encode_prefixed(text))
}

pub(super) fn hex_to_utf8(data: &str) -> Answer {
    Ok(String::from_utf8_lossy(&bytes(data)?).into_owned())
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|_| "expected 0x hex of whole bytes".to_string())
}

fn type_of(param: &Param) -> Result<DynSolType, String> {
    param.resolve().map_err(|error| format!("type {}: {error}", param.ty))
}

fn coerce(kind: &DynSolType, components: &[Param], value: &Value, at: &str) -> Result<DynSolValue, String> {
    let wrong = |expected: &str| format!("{at}: expected {expected}, got {}", short(value));
    Ok(match kind {
        DynSolType::Bool => DynSolValue::Bool(value.as_bool().ok_or_else(|| wrong("a boolean"))?),
        DynSolType::Uint(bits) => {
            let number = integer(value)
                .and_then(|text| text.parse::<U256>().ok())
                .ok_or_else(|| wrong(&format!("a uint{bits}")))?;
            if number.bit_len() > *bits {
                return Err(wrong(&format!("a uint{bits}")));
            }
            DynSolValue::Uint(number, *bits)
        }
        DynSolType::Int(bits) => {
            let number = integer(value)
                .and_then(|text| text.parse::<I256>().ok())
                .ok_or_else(|| wrong(&format!("an int{bits}")))?;
            if number.bits() > *bits as u32 {
                return Err(wrong(&format!("an int{bits}")));
            }
            DynSolValue::Int(number, *bits)
        }
        DynSolType::Address => {
            let text = value.as_str().filter(|text| text.len() == 42 && text.starts_with("0x"));
            DynSolValue::Address(text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong("an address"))?)
        }
        DynSolType::Bytes => DynSolValue::Bytes(hex_value(value).ok_or_else(|| wrong("0x hex"))?.to_vec()),
        DynSolType::FixedBytes(size) => {
            let data = hex_value(value)
                .filter(|data| data.len() == *size)
                .ok_or_else(|| wrong(&format!("{size} bytes of 0x hex")))?;
            let mut word = B256::ZERO;
            word.iter_mut().zip(data.iter()).for_each(|(to, from)| *to = *from);
            DynSolValue::FixedBytes(word, *size)
        }
        DynSolType::String => DynSolValue::String(value.as_str().ok_or_else(|| wrong("a string"))?.to_string()),
        DynSolType::Array(inner) => DynSolValue::Array(elements(inner, components, value, at)?),
        DynSolType::FixedArray(inner, length) => {
            let list = elements(inner, components, value, at)?;
            if list.len() != *length {
                return Err(wrong(&format!("{length} elements")));
            }
            DynSolValue::FixedArray(list)
        }
        DynSolType::Tuple(kinds) => DynSolValue::Tuple(tuple(kinds, components, value, at)?),
        DynSolType::Function => return Err(format!("{at}: function values are not supported")),
        // Custom structs exist only with alloy's eip712 feature, which other crates of the workspace turn on.
        #[allow(unreachable_patterns)]
        _ => return Err(format!("{at}: this type is not supported")),
    })
}

fn elements(inner: &DynSolType, components: &[Param], value: &Value, at: &str) -> Result<Vec<DynSolValue>, String> {
    let list = value.as_array().ok_or_else(|| format!("{at}: expected an array, got {}", short(value)))?;
    list.iter().enumerate().map(|(index, value)| coerce(inner, components, value, &format!("{at}[{index}]"))).collect()
}

/// A tuple is written as an array, or as an object by its components' names.
fn tuple(kinds: &[DynSolType], components: &[Param], value: &Value, at: &str) -> Result<Vec<DynSolValue>, String> {
    let mut out = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.iter().enumerate() {
        let component = components.get(index);
        let name = component.map_or("", |param| param.name.as_str());
        let field = match value {
            Value::Array(list) if list.len() == kinds.len() => list.get(index),
            Value::Object(map) => map.get(name),
            _ => None,
        };
        let place = if name.is_empty() { format!("{at}[{index}]") } else { format!("{at}.{name}") };
        let field = field.ok_or_else(|| format!("{place}: missing"))?;
        out.push(coerce(kind, component.map_or(&[][..], |param| &param.components), field, &place)?);
    }
    Ok(out)
}

/// The digits of an integer, or nothing when it is not one.
fn integer(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

fn hex_value(value: &Value) -> Option<Bytes> {
    let text = value.as_str().filter(|text| text.starts_with("0x"))?;
    hex::decode(text).ok().map(Bytes::from)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 80 { format!("{}...", text.chars().take(77).collect::<String>()) } else { text }
}

fn show(value: &DynSolValue, components: &[Param]) -> Value {
    match value {
        DynSolValue::Bool(value) => Value::Bool(*value),
        DynSolValue::Uint(number, bits) if *bits <= 48 => Value::from(number.saturating_to::<u64>()),
        DynSolValue::Uint(number, _) => Value::String(format!("n{number}")),
        DynSolValue::Int(number, bits) if *bits <= 48 => Value::from(i64::try_from(*number).unwrap_or_default()),
        DynSolValue::Int(number, _) => Value::String(format!("n{number}")),
        DynSolValue::Address(address) => Value::String(format!("s{}", address.to_checksum(None))),
        DynSolValue::Bytes(data) => Value::String(format!("s{}", hex::encode_prefixed(data))),
        DynSolValue::FixedBytes(word, size) => {
            Value::String(format!("s{}", hex::encode_prefixed(word.get(..*size).unwrap_or_default())))
        }
        DynSolValue::String(text) => Value::String(format!("s{text}")),
        DynSolValue::Array(list) | DynSolValue::FixedArray(list) => {
            list.iter().map(|value| show(value, components)).collect()
        }
        DynSolValue::Tuple(fields) => {
            let of = |index: usize| components.get(index).map_or(&[][..], |param| &param.components[..]);
            let named = components.len() == fields.len() && components.iter().all(|param| !param.name.is_empty());
            if named {
                let entries = fields
                    .iter()
                    .zip(components)
                    .map(|(value, param)| (param.name.clone(), show(value, &param.components)));
                Value::Object(entries.collect::<Map<_, _>>())
            } else {
                fields.iter().enumerate().map(|(index, value)| show(value, of(index))).collect()
            }
        }
        _ => Value::Null,
    }
}
