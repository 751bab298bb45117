//! Calls as code: what is published for a job, and how operators read it.
//!
//! The code is a magic and `abi.encode(Call[])` after it. The magic begins with a zero byte, which no TypeScript does. One list
//! of calls has one encoding; another one is refused, so that the same calls have the same code hash.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol;
use alloy::sol_types::{SolType, SolValue, abi, sol_data};
use ditto_sandbox::Call;

/// What declared calls begin with.
const MAGIC: &[u8] = b"\0ditto/calls/1\0\0";
/// The most calls of a job: more never fit one operation's gas.
pub(super) const MAX_CALLS: usize = 256;

sol! {
    struct DeclaredCall {
        address to;
        uint256 value;
        bytes data;
    }
}

type Declared = sol_data::Array<DeclaredCall>;

/// Why code that begins like declared calls holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclaredError {
    /// Not the one encoding of a list of calls.
    #[error("what follows is not the canonical abi.encode((address,uint256,bytes)[])")]
    Encoding,
    /// None, or too many.
    #[error("{0} calls; 1 to {MAX_CALLS} are taken")]
    Count(usize),
}

/// Published code as declared calls; `None` when it is a script.
///
/// # Errors
/// When it begins like declared calls, and holds none.
#[must_use]
pub fn declared_calls(code: &[u8]) -> Option<Result<Vec<Call>, DeclaredError>> {
    let encoded = code.strip_prefix(MAGIC)?;
    Some(decode(encoded))
}

fn decode(encoded: &[u8]) -> Result<Vec<Call>, DeclaredError> {
    // Offsets may all lead to the same bytes, so a little code could be a great deal of memory: what is copied is counted
    // before it is. One encoding has every byte once.
    let tokens = abi::decode::<<Declared as SolType>::Token<'_>>(encoded).map_err(|_| DeclaredError::Encoding)?;
    if tokens.0.is_empty() || tokens.0.len() > MAX_CALLS {
        return Err(DeclaredError::Count(tokens.0.len()));
    }
    if tokens.0.iter().map(|(_, _, data)| data.0.len()).sum::<usize>() > encoded.len() {
        return Err(DeclaredError::Encoding);
    }
    let declared: Vec<DeclaredCall> = Declared::detokenize(tokens);
    if declared.abi_encode() != encoded {
        return Err(DeclaredError::Encoding);
    }
    let call =
        |call: DeclaredCall| Call { to: call.to.into(), value: call.value.to_be_bytes(), data: call.data.into() };
    Ok(declared.into_iter().map(call).collect())
}

/// The code of these calls.
pub(super) fn encode(calls: &[Call]) -> Vec<u8> {
    let declared = |call: &Call| DeclaredCall {
        to: Address::from(call.to),
        value: U256::from_be_bytes(call.value),
        data: Bytes::copy_from_slice(&call.data),
    };
    let declared: Vec<DeclaredCall> = calls.iter().map(declared).collect();
    [MAGIC, &declared.abi_encode()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn call()(to: [u8; 20], value: [u8; 32], data in proptest::collection::vec(any::<u8>(), 0..80)) -> Call {
            Call { to, value, data }
        }
    }

    #[test]
    fn a_script_is_no_list_of_calls() {
        for code in ["", "export default {}", "\0", "\0ditto/calls/2\0\0"] {
            assert_eq!(declared_calls(code.as_bytes()), None, "{code:?}");
        }
        assert_eq!(declared_calls(MAGIC), Some(Err(DeclaredError::Encoding)));
        assert_eq!(declared_calls(&encode(&[])), Some(Err(DeclaredError::Count(0))));
        let call = Call { to: [1; 20], value: [0; 32], data: Vec::new() };
        assert_eq!(declared_calls(&encode(&vec![call; 257])), Some(Err(DeclaredError::Count(257))));
    }

    #[test]
    fn many_calls_that_share_their_data_are_not_copied() {
        // 250 calls of 1 MiB each in a little more than 1 MiB; and a hundred thousand offsets to one call.
        for (calls, data) in [(250, 1 << 20), (100_000, 0)] {
            let word = |number: usize| U256::from(number).to_be_bytes::<32>();
            let mut code = [MAGIC, &word(32), &word(calls)].concat();
            (0..calls).for_each(|_| code.extend_from_slice(&word(calls * 32)));
            [0, 0, 96, data].into_iter().for_each(|number| code.extend_from_slice(&word(number)));
            code.resize(code.len() + data, 1);
            assert!(declared_calls(&code).unwrap().is_err());
        }
    }

    proptest! {
        #[test]
        fn calls_come_back(calls in proptest::collection::vec(call(), 1..6)) {
            prop_assert_eq!(declared_calls(&encode(&calls)).unwrap().unwrap(), calls);
        }

        #[test]
        fn one_list_has_one_encoding(calls in proptest::collection::vec(call(), 1..4), at: usize, flip in 1u8.., more in proptest::collection::vec(any::<u8>(), 0..40)) {
            let code = encode(&calls);
            let mut changed = code.clone();
            let at = MAGIC.len() + at % (code.len() - MAGIC.len());
            changed[at] ^= flip;
            changed.extend(&more);
            if let Some(Ok(found)) = declared_calls(&changed) {
                prop_assert_ne!(&found, &calls);
                prop_assert_eq!(encode(&found), changed);
            }
        }

        #[test]
        fn junk_never_panics(junk in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _calls = declared_calls(&[MAGIC, &junk].concat());
        }
    }
}
