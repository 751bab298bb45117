//! The native half of the SDK's ABI functions. Values cross as JSON text and are read by the types of the ABI.
//!
//! Into Rust a string that begins with NUL is tagged: `n` and digits for a bigint, `s` and text for a string that begins
//! with NUL itself. Out of Rust every string carries a letter: `n` before the digits of an integer that is a bigint, `s`
//! before anything else. Integers of up to 48 bits come out as numbers, as in viem.
//!
//! JSON is written by hand, since the order of an object's keys is the workflow's to see, and a library's may depend on
//! what else was compiled with it.

mod signature;
mod typed_data;
mod value;

use alloy::{
    dyn_abi::{DynSolType, DynSolValue},
    primitives::{Address, B256, U256, hex, keccak256},
};
use serde::Deserialize;

pub(super) type Answer = Result<String, String>;

/// Array brackets in one type; also what bounds recursion over it.
const MAX_ARRAYS: usize = 16;
/// Words that a type's static part may take: 2 MiB. A fixed array's length is the author's to write, its memory ours.
const MAX_STATIC_WORDS: usize = 1 << 16;

/// An ABI parameter, as far as coding needs it. JSON bounds how deep it nests.
#[derive(Debug, Deserialize)]
struct Parameter {
    #[serde(rename = "type")]
    ty: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    components: Vec<Parameter>,
}

#[derive(Deserialize)]
struct FunctionItem {
    name: String,
    #[serde(default)]
    inputs: Vec<Parameter>,
}

impl Parameter {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The type that alloy codes by.
    fn kind(&self) -> Result<DynSolType, String> {
        let unknown = || format!("unknown type \"{}\"", self.ty.chars().take(80).collect::<String>());
        let (base, array) = self.ty.split_at(self.ty.find('[').unwrap_or(self.ty.len()));
        let mut kind = match base {
            "tuple" => DynSolType::Tuple(self.components.iter().map(Parameter::kind).collect::<Result<_, _>>()?),
            "function" => return Err(unknown()),
            _ if base.starts_with(|c: char| c.is_ascii_lowercase()) && base.len() <= 8 => {
                DynSolType::parse(base).map_err(|_| unknown())?
            }
            _ => return Err(unknown()),
        };
        for (index, length) in array.split('[').skip(1).enumerate() {
            let length = length.strip_suffix(']').filter(|_| index < MAX_ARRAYS).ok_or_else(unknown)?;
            kind = if length.is_empty() {
                DynSolType::Array(Box::new(kind))
            } else {
                DynSolType::FixedArray(Box::new(kind), length.parse().map_err(|_| unknown())?)
            };
            if static_words(&kind) > MAX_STATIC_WORDS {
                return Err(format!("type \"{}\" is larger than {MAX_STATIC_WORDS} words", self.ty));
            }
        }
        Ok(kind)
    }

    /// The type as a signature spells it.
    fn spell(&self, out: &mut String) {
        match self.ty.strip_prefix("tuple") {
            Some(array) => {
                spell_list(&self.components, out);
                out.push_str(array);
            }
            None => out.push_str(&self.ty),
        }
    }
}

fn spell_list(parameters: &[Parameter], out: &mut String) {
    out.push('(');
    for (index, parameter) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        parameter.spell(out);
    }
    out.push(')');
}

/// Words in a type's static part, counting every dynamic one as its pointer.
fn static_words(kind: &DynSolType) -> usize {
    match kind {
        DynSolType::FixedArray(inner, length) => static_words(inner).max(1).saturating_mul(*length),
        DynSolType::Tuple(inner) => inner.iter().map(static_words).fold(0, usize::saturating_add),
        _ => 1,
    }
}

fn parameters(text: &str) -> Result<Vec<Parameter>, String> {
    serde_json::from_str(text).map_err(|error| format!("not ABI parameters: {error}"))
}

fn strings(text: &str, caller: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|_| format!("{caller}: expected an array of strings"))
}

/// Human-readable signatures to JSON ABI items, in their order.
pub(super) fn parse(signatures: &str) -> Answer {
    signature::parse_abi(&strings(signatures, "parseAbi")?).map_err(|reason| format!("parseAbi: {reason}"))
}

pub(super) fn parse_parameters(lists: &str) -> Answer {
    signature::parse_parameters(&strings(lists, "parseAbiParameters")?)
        .map_err(|reason| format!("parseAbiParameters: {reason}"))
}

/// Selector and arguments.
pub(super) fn encode_function(item: &str, args: &str) -> Answer {
    let item: FunctionItem = serde_json::from_str(item).map_err(|error| format!("not an ABI function: {error}"))?;
    let mut signature = item.name.clone();
    spell_list(&item.inputs, &mut signature);
    let mut out = keccak256(signature).get(..4).unwrap_or_default().to_vec();
    out.extend(encode(&item.inputs, args, &item.name)?);
    Ok(hex::encode_prefixed(out))
}

pub(super) fn encode_params(list: &str, args: &str) -> Answer {
    Ok(hex::encode_prefixed(encode(&parameters(list)?, args, "encodeAbiParameters")?))
}

fn encode(inputs: &[Parameter], args: &str, caller: &str) -> Result<Vec<u8>, String> {
    let args = value::list(args)?;
    if inputs.len() != args.len() {
        return Err(format!("{caller}: takes {} arguments, got {}", inputs.len(), args.len()));
    }
    let mut coded = Vec::with_capacity(args.len());
    for (index, (parameter, value)) in inputs.iter().zip(&args).enumerate() {
        let at = match parameter.name() {
            "" => format!("{caller}: {index}"),
            name => format!("{caller}: {name}"),
        };
        let kind = parameter.kind().map_err(|reason| format!("{at}: {reason}"))?;
        coded.push(value::coerce(&kind, &parameter.components, value, &at)?);
    }
    Ok(DynSolValue::Tuple(coded).abi_encode_params())
}

pub(super) fn decode_params(list: &str, data: &str) -> Answer {
    let parameters = parameters(list)?;
    let data = bytes(data)?;
    let kinds = parameters.iter().map(Parameter::kind).collect::<Result<Vec<_>, _>>()?;
    if data.is_empty() && !kinds.is_empty() {
        return Err("the data is empty: is there a contract at the address?".into());
    }
    if !data.is_empty() && data.len() < 32 {
        return Err(format!("the data does not fit the ABI: {} bytes are less than a word", data.len()));
    }
    if kinds.is_empty() {
        return Ok("[]".into());
    }
    let raw = DynSolType::Tuple(kinds.iter().map(value::raw).collect());
    if static_words(&raw) > MAX_STATIC_WORDS {
        return Err(format!("the types are larger than {MAX_STATIC_WORDS} words"));
    }
    let decoded = raw.abi_decode_params(&data).map_err(|error| format!("the data does not fit the ABI: {error}"))?;
    let DynSolValue::Tuple(decoded) = decoded else { return Err("the data does not fit the ABI".into()) };
    // Of types without size alloy makes nothing at all.
    if decoded.len() != kinds.len() {
        return Err("the data does not fit the ABI: a type in it has no size".into());
    }
    let mut out = String::with_capacity(data.len() * 2);
    out.push('[');
    for (index, ((parameter, kind), value)) in parameters.iter().zip(&kinds).zip(&decoded).enumerate() {
        if index > 0 {
            out.push(',');
        }
        value::show(kind, &parameter.components, value, &mut out)?;
    }
    out.push(']');
    Ok(out)
}

pub(super) fn encode_packed(types: &str, args: &str) -> Answer {
    let (types, args) = (strings(types, "encodePacked")?, value::list(args)?);
    if types.len() != args.len() {
        return Err(format!("encodePacked: {} types for {} values", types.len(), args.len()));
    }
    let mut out = Vec::new();
    for (index, (ty, value)) in types.into_iter().zip(&args).enumerate() {
        let at = format!("encodePacked: {index}");
        let kind = Parameter { ty, name: None, components: Vec::new() }.kind();
        let kind = kind.map_err(|reason| format!("{at}: {reason}"))?;
        if matches!(kind, DynSolType::Tuple(_)) {
            return Err(format!("{at}: tuples cannot be packed"));
        }
        value::pack(&value::coerce(&kind, &[], value, &at)?, false, &mut out);
    }
    Ok(hex::encode_prefixed(out))
}

pub(super) fn hash_typed_data(data: &str) -> Answer {
    typed_data::hash(data).map(hex::encode_prefixed).map_err(|reason| format!("hashTypedData: {reason}"))
}

/// keccak256 of a text's UTF-8.
pub(super) fn hash_text(text: &str) -> Answer {
    Ok(hex::encode_prefixed(keccak256(text)))
}

pub(super) fn keccak(data: &str) -> Answer {
    Ok(hex::encode_prefixed(keccak256(bytes(data)?)))
}

/// EIP-55, or EIP-1191 with a chain id (decimal; empty for none).
pub(super) fn checksum(address: &str, chain: &str) -> Answer {
    let chain = if chain.is_empty() { None } else { Some(chain.parse().map_err(|_| "not a chain id".to_string())?) };
    Ok(account(address)?.to_checksum(chain))
}

/// The address that `from` creates at with its `nonce` (decimal).
pub(super) fn create_address(from: &str, nonce: &str) -> Answer {
    let nonce = nonce.parse().map_err(|_| format!("getContractAddress: nonce: {nonce} is not from 0 to 2^64 - 1"))?;
    Ok(account(from)?.create(nonce).to_checksum(None))
}

/// EIP-1014.
pub(super) fn create2_address(from: &str, salt: &str, code_hash: &str) -> Answer {
    let word = |text: &str, what| {
        text.parse::<B256>().map_err(|_| format!("getContractAddress: {what}: expected 32 bytes of hex"))
    };
    Ok(account(from)?.create2(word(salt, "salt")?, word(code_hash, "bytecodeHash")?).to_checksum(None))
}

pub(super) fn utf8_to_hex(text: &str) -> Answer {
    Ok(hex::encode_prefixed(text))
}

pub(super) fn hex_to_utf8(data: &str) -> Answer {
    Ok(value::text_of(&bytes(data)?))
}

fn account(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| format!("{text} is not an address"))
}

/// Bytes of hex; an odd first digit stands for itself, as in viem.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits = value::hex_digits(text).ok_or("expected 0x hex")?;
    let decoded = if digits.len() % 2 == 1 { hex::decode(format!("0{digits}")) } else { hex::decode(digits) };
    decoded.map_err(|_| "expected 0x hex".to_string())
}

/// The greatest integer that a JavaScript number holds exactly.
const MAX_SAFE: U256 = U256::from_limbs([(1 << 53) - 1, 0, 0, 0]);

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
