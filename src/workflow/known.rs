//! Calls, answers and errors in words, as far as their signatures are known: from policy and steps, and from the ABI strings
//! in the author's own code.

use std::collections::HashMap;

use alloy::dyn_abi::{DynSolValue, FunctionExt, JsonAbiExt};
use alloy::json_abi::{Error, Function, Param};
use alloy::primitives::{I256, U256, hex};
use alloy::sol_types::{Panic, Revert, SolError};

use super::manifest::Manifest;
use super::publication::function;

/// Elements of an array, and bytes of a string or of data, that are shown.
const SHOWN_ELEMENTS: usize = 6;
const SHOWN_BYTES: usize = 32;

/// Known signatures, by selector.
#[derive(Debug, Default)]
pub struct Known {
    functions: HashMap<[u8; 4], Function>,
    errors: HashMap<[u8; 4], Error>,
}

impl Known {
    /// Everything that the manifest's policy and steps and the code name.
    #[must_use]
    pub fn gather(manifest: &Manifest, code: &str) -> Self {
        let mut known = Self::default();
        let of_policy = manifest.policy.allow.iter().filter_map(|allow| function(allow.call.as_deref()?));
        let of_steps = manifest.steps.iter().filter_map(|step| function(step.get("abi")?.as_str()?));
        let mut literals = Vec::new();
        for text in strings(code) {
            if text.starts_with("function ") {
                literals.extend(function(&text));
            } else if text.starts_with("error ")
                && let Ok(error) = Error::parse(&text)
            {
                known.errors.insert(error.selector().0, error);
            }
        }
        // The code's signatures come last: they name results, which a policy does not.
        for function in of_policy.chain(of_steps).chain(literals) {
            known.functions.insert(function.selector().0, function);
        }
        known
    }

    /// The signature behind a selector, as a policy would name it.
    #[must_use]
    pub fn signature(&self, selector: [u8; 4]) -> Option<String> {
        self.functions.get(&selector).map(Function::signature)
    }

    /// A call in words, such as `transfer(to: 0x…, amount: 5)`.
    #[must_use]
    pub fn call(&self, data: &[u8]) -> Option<String> {
        let (selector, rest) = data.split_first_chunk::<4>()?;
        let function = self.functions.get(selector)?;
        let values = function.abi_decode_input(rest).ok()?;
        Some(format!("{}({})", function.name, named(&function.inputs, &values)))
    }

    /// What the call with this data returned, in words.
    #[must_use]
    pub fn answer(&self, call: &[u8], returned: &[u8]) -> Option<String> {
        let function = self.functions.get(call.first_chunk::<4>()?)?;
        let values = function.abi_decode_output(returned).ok().filter(|values| !values.is_empty())?;
        Some(named(&function.outputs, &values))
    }

    /// Revert data in words.
    #[must_use]
    pub fn revert(&self, data: &[u8]) -> String {
        if data.is_empty() {
            return "without saying why".into();
        }
        if let Ok(revert) = Revert::abi_decode(data) {
            return format!("{:?}", revert.reason);
        }
        if let Ok(panic) = Panic::abi_decode(data) {
            return panic.to_string();
        }
        let error = data.split_first_chunk::<4>().and_then(|(selector, rest)| {
            let error = self.errors.get(selector)?;
            let values = error.abi_decode_input(rest).ok()?;
            Some(format!("{}({})", error.name, named(&error.inputs, &values)))
        });
        error.unwrap_or_else(|| bytes(data))
    }
}

fn named(params: &[Param], values: &[DynSolValue]) -> String {
    let shown = params.iter().zip(values).map(|(param, value)| match param.name.as_str() {
        "" => show(value),
        name => format!("{name}: {}", show(value)),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn show(value: &DynSolValue) -> String {
    let list = |values: &[DynSolValue]| {
        let mut shown: Vec<String> = values.iter().take(SHOWN_ELEMENTS).map(show).collect();
        if values.len() > SHOWN_ELEMENTS {
            shown.push(format!("… {} in all", values.len()));
        }
        shown.join(", ")
    };
    match value {
        DynSolValue::Bool(truth) => truth.to_string(),
        DynSolValue::Int(number, _) => I256::to_string(number),
        DynSolValue::Uint(number, _) => U256::to_string(number),
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::FixedBytes(word, size) => hex::encode_prefixed(&word[..*size]),
        DynSolValue::Function(function) => hex::encode_prefixed(function),
        DynSolValue::Bytes(data) => bytes(data),
        DynSolValue::String(text) => {
            let cut: String = text.chars().take(2 * SHOWN_BYTES).collect();
            if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{text:?}") }
        }
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => format!("[{}]", list(values)),
        DynSolValue::Tuple(values) => format!("({})", list(values)),
        #[allow(unreachable_patterns, reason = "a feature of the library adds a kind")]
        _ => format!("{value:?}"),
    }
}

/// Data in hexadecimal, cut when it is long.
#[must_use]
pub fn bytes(data: &[u8]) -> String {
    match data.get(..SHOWN_BYTES + 4) {
        Some(start) if data.len() > SHOWN_BYTES + 4 => {
            format!("{}… ({} bytes)", hex::encode_prefixed(start), data.len())
        }
        _ => hex::encode_prefixed(data),
    }
}

/// The string literals of a source, near enough: a comment's apostrophe may open one that is none, but then it holds no
/// line break and begins like no signature.
fn strings(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code.lines() {
        let mut rest = line;
        while let Some(from) = rest.find(['"', '\'', '`']) {
            let quote = rest[from..].chars().next().unwrap_or('"');
            let inner = &rest[from + 1..];
            let Some(to) = inner.find(quote) else {
                // An apostrophe: go on behind it.
                rest = inner;
                continue;
            };
            if inner[..to].starts_with("function ") || inner[..to].starts_with("error ") {
                found.push(inner[..to].to_owned());
                rest = &inner[to + 1..];
            } else {
                // What closes this may be what opens the next, when an apostrophe came before.
                rest = inner;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::manifest::tests::{GOOD, load};
    use super::*;
    use alloy::primitives::{Address, address};
    use alloy::sol_types::SolValue;
    use proptest::prelude::*;

    const CODE: &str = r#"
        // It's what the author's ABI says.
        const abi = parseAbi(["function balanceOf(address owner) view returns (uint256)", 'error Paused(uint256 since)']);
        const other = parseAbi([`function latest() view returns (int256 price, bytes data)`]);
        const no = "functional";
    "#;
    const OWNER: Address = address!("00000000000000000000000000000000000000aa");

    fn known() -> Known {
        Known::gather(&load(GOOD).unwrap(), CODE)
    }

    fn data(signature: &str, arguments: &[u8]) -> Vec<u8> {
        [function(signature).unwrap().selector().as_slice(), arguments].concat()
    }

    #[test]
    fn calls_and_answers_are_shown_in_words() {
        let known = known();
        let call = data("balanceOf(address)", &OWNER.abi_encode());
        assert_eq!(known.call(&call).unwrap(), format!("balanceOf(owner: {OWNER})"));
        assert_eq!(known.answer(&call, &U256::from(7).abi_encode()).unwrap(), "7");
        assert_eq!(known.answer(&call, &[1]), None);
        let latest = data("latest()", &[]);
        let returned = (I256::MINUS_ONE, vec![7_u8; 64]).abi_encode_params();
        let shown = known.answer(&latest, &returned).unwrap();
        assert!(shown.starts_with("price: -1, data: 0x0707") && shown.ends_with("(64 bytes)"), "{shown}");
        // The policy's, which no ABI of the code has.
        let transfer = data("transfer(address,uint256)", &(OWNER, U256::from(5)).abi_encode_params());
        assert_eq!(known.call(&transfer).unwrap(), format!("transfer(to: {OWNER}, amount: 5)"));
        assert_eq!(known.call(&[1, 2, 3, 4]), None);
    }

    #[test]
    fn reverts_are_shown_in_words() {
        let known = known();
        assert_eq!(known.revert(&Revert::from("too late").abi_encode()), "\"too late\"");
        let paused = Error::parse("error Paused(uint256 since)").unwrap();
        let data = [paused.selector().as_slice(), &U256::from(9).abi_encode()].concat();
        assert_eq!(known.revert(&data), "Paused(since: 9)");
        assert_eq!(known.revert(&[1, 2]), "0x0102");
        assert_eq!(known.revert(&[]), "without saying why");
    }

    proptest! {
        #[test]
        fn arbitrary_code_and_data_never_panic(code: String, data: Vec<u8>) {
            let known = Known::gather(&load(GOOD).unwrap(), &code);
            let _shown = (known.call(&data), known.answer(&data, &data), known.revert(&data));
        }
    }
}
