//! Ditto workflow documents, which users bring, and what is published instead of code, which strangers do.
use alloy::primitives::U256;
use alloy::sol_types::SolValue;
use serde_json::json;

use crate::build::policy;
use crate::document::{self, Options, declared_calls};
use crate::ingest::triggers::Trigger;

const ACCOUNT: &str = "0x00000000000000000000000000000000000000bb";

fn options() -> Options {
    Options { target_chain: 8453, readable: Some(vec![1, 8453]), split: true }
}

fn example() -> Vec<u8> {
    json!({
        "workflow": {
            "owner": ACCOUNT,
            "triggers": [
                { "type": "cron", "params": { "schedule": "*/5 * * * *" } },
                { "type": "event", "params": {
                    "signature": "Transfer(address indexed from, address indexed to, uint256 value)",
                    "contractAddress": ACCOUNT, "chainId": 8453, "filter": { "to": ACCOUNT },
                } },
                { "type": "onchain", "params": {
                    "target": ACCOUNT, "abi": "balanceOf(address) view returns (uint256)", "args": [ACCOUNT], "chainId": 8453,
                    "value": "0", "onchainCondition": { "condition": "ONE_OF", "value": ["1", "2"] },
                } },
            ],
            "jobs": [
                { "id": "pay", "chainId": 8453, "steps": [
                    { "target": ACCOUNT, "abi": "f(address,(uint8[2],bytes)[],string)", "args": [ACCOUNT, [[[1, 2], "0x12"]], "x"], "value": "0" },
                    { "target": ACCOUNT, "abi": "", "args": [], "value": "7" },
                ], "session": "x" },
                { "id": "elsewhere", "chainId": 1, "steps": [{ "target": ACCOUNT, "abi": "g()" }] },
            ],
            "count": 3, "validAfter": 1_700_000_000, "validUntil": 1_800_000_000, "interval": 3_600,
        },
        "metadata": { "createdAt": 1_700_000_000_000_u64, "version": "1.0.0" },
    })
    .to_string()
    .into_bytes()
}

/// Declared calls that all point at the same long data: a little code, and a great deal of memory for who copies first.
fn bomb(code: &[u8]) -> Vec<u8> {
    const CALLS: usize = 12_000;
    const DATA: usize = 256 << 10;
    let magic = (0..code.len()).find(|end| declared_calls(&code[..*end]).is_some()).unwrap_or(0);
    let word = |number: usize| U256::from(number).to_be_bytes::<32>();
    let mut bytes = [&code[..magic], &word(32), &word(CALLS)].concat();
    (0..CALLS).for_each(|_| bytes.extend_from_slice(&word(CALLS * 32)));
    [0, 0, 96, DATA].into_iter().for_each(|number| bytes.extend_from_slice(&word(number)));
    bytes.resize(bytes.len() + DATA, 1);
    bytes
}

pub fn examples() -> Vec<Vec<u8>> {
    let document = example();
    let job = document::import(&document, &options()).ok().and_then(|import| import.jobs.into_iter().next());
    let code = job.as_ref().map(|job| job.code.clone()).unwrap_or_default();
    let rules = job.map(|job| job.rules).unwrap_or_default();
    let policy = policy::Policy { rules, maxValuePerOp: U256::from(9), maxCallGas: 1, maxFeePerGas: 2 };
    let seed = |kind: u8, bytes: &[u8]| [&[kind][..], bytes].concat();
    vec![seed(0, &document), seed(1, &code), seed(2, &policy.abi_encode())]
}

pub fn run(data: &[u8]) {
    static BOMB: std::sync::Once = std::sync::Once::new();
    BOMB.call_once(|| {
        let job = document::import(&example(), &options()).ok().and_then(|import| import.jobs.into_iter().next());
        let code = bomb(&job.expect("the example is a document").code);
        assert!(declared_calls(&code).expect("it begins like declared calls").is_err());
    });
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind {
        0 => {
            let Ok(import) = document::import(bytes, &options()) else { return };
            for job in import.jobs {
                // What it became, operators read.
                assert_eq!(declared_calls(&job.code), Some(Ok(job.calls.clone())));
                let triggers = job.triggers.iter().map(|trigger| (trigger.kind, trigger.data.as_slice()));
                assert!(Trigger::parse_all(triggers).is_ok(), "{:?}", job.triggers);
                let policy =
                    policy::Policy { rules: job.rules, maxValuePerOp: job.value, maxCallGas: 1, maxFeePerGas: 1 };
                assert_eq!(policy.check(&job.calls, &[]), Ok(()), "its own policy allows it");
            }
        }
        1 => {
            if let Some(Ok(calls)) = declared_calls(bytes) {
                assert!(!calls.is_empty());
            }
        }
        2 => {
            if let Ok(policy) = policy::read(bytes) {
                assert_eq!(policy::read(&policy.abi_encode()), Ok(policy));
            }
        }
        _ => {}
    }
}
