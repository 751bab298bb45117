//! The named workload: `dense.ts`, its three reads answered from memory, and what is asked of a run.

use std::sync::Arc;

use ditto_sandbox::{Input, Job, Limits, ReadAnswer, ReadReply, ReadRequest, Reads};

pub const DENSE: &str = include_str!("dense.ts");
pub const ACCOUNT: &str = "0x1111111111111111111111111111111111111111";
const POOL: &str = "0x2222222222222222222222222222222222222222";
const MANAGER: &str = "0x3333333333333333333333333333333333333333";
const ORACLE: &str = "0x4444444444444444444444444444444444444444";

/// The words that pool, position manager and oracle answer: a price of 1.0001^1000, a position around it, wider than need be.
const SLOT0: [i128; 4] = [83_290_069_058_676_223_003_182_343_270, 1_000, 3, 1];
const POSITION: [i128; 5] = [-3_000, 6_000, 5_000_000_000_000_000_000, 7, 9];
const ANSWER: [i128; 1] = [1_105_165_392_603_232_697];

pub fn args() -> String {
    format!(r#"{{"chainId":1,"pool":"{POOL}","manager":"{MANAGER}","oracle":"{ORACLE}"}}"#)
}

/// Whom a read asks, and the JSON of the answer.
pub fn answers() -> [(&'static str, String); 3] {
    [(POOL, words(&SLOT0)), (MANAGER, words(&POSITION)), (ORACLE, words(&ANSWER))]
}

fn words(values: &[i128]) -> String {
    let word = |value: &i128| format!("{}{value:032x}", if *value < 0 { "f".repeat(32) } else { "0".repeat(32) });
    format!("\"0x{}\"", values.iter().map(word).collect::<String>())
}

/// A read cache that has everything.
pub struct Cache([(&'static str, String); 3]);

impl Cache {
    pub fn new() -> Arc<Cache> {
        Arc::new(Cache(answers()))
    }
}

impl Reads for Cache {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        let found = self.0.iter().find(|(to, _)| request.params.contains(to));
        reply.answer(found.map_or(ReadAnswer::Failed, |(_, json)| ReadAnswer::Ok(json.clone())));
    }
}

pub fn job(code: Arc<[u8]>) -> Job {
    let input = Input {
        workflow: "1".into(),
        occurrence: "18446744073709551617".into(),
        account: ACCOUNT.into(),
        slot: 1,
        timestamp_ms: 1_700_000_000_000,
        seed: [1; 32],
        args_json: args(),
        chains: vec![1],
    };
    Job { code, input, limits: Limits::default() }
}

/// The workload, for the `number`th time a module that nobody has seen.
pub fn unseen(number: u64) -> Arc<[u8]> {
    format!("{DENSE}// {number}\n").into_bytes().into()
}
