//! What `ctx.chain(id)` asks for and what it makes of the answers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256, keccak256};
use ditto_sandbox::{BLOCK_FIELDS, LOG_FIELDS, Outcome, Read, ReadAnswer, ReadRequest, Report};
use support::*;

const BLOCK: &str = r#"{"number":"0x10","hash":"0xaa","parentHash":"0xbb","timestamp":"0x64","gasLimit":"0x5208","gasUsed":"0x0","baseFeePerGas":null,"miner":"0xd8da6bf26964af9d7eed9e03e53415d37aa96045","mixHash":"0xcc"}"#;
const TOKEN: [u8; 20] = [0x22; 20];

fn log(topics: &[B256], value: u64) -> String {
    let topics: Vec<String> = topics.iter().map(|topic| format!("\"{topic:#x}\"")).collect();
    format!(
        r#"{{"address":"{:#x}","topics":[{}],"data":"{:#066x}","blockNumber":"0xf","blockHash":"0xaa","transactionHash":"0xbb","logIndex":"0x3"}}"#,
        Address::from(TOKEN),
        topics.join(","),
        value
    )
}

fn transfer() -> B256 {
    keccak256("Transfer(address,address,uint256)")
}

fn account(byte: u8) -> B256 {
    Address::repeat_byte(byte).into_word()
}

/// Answers as a node at block 16 would, and fails what the host could not understand.
fn answer(request: &ReadRequest) -> ReadAnswer {
    let json = match request.read() {
        Ok(Read::Block { number: None }) => BLOCK.into(),
        Ok(Read::Block { number: Some(number) }) if number <= 16 => BLOCK.replace("0x10", &format!("{number:#x}")),
        Ok(Read::Block { .. }) => "null".into(),
        Ok(Read::BlockNumber) => "\"0x10\"".into(),
        Ok(read @ Read::Logs { .. }) if read.log_range(16).is_none() => "null".into(),
        Ok(Read::Logs { .. }) => {
            let fits = [transfer(), account(1), account(0x11)];
            // The second has an event of the same signature that indexes its value too.
            let other = [transfer(), account(1), account(0x11), account(5)];
            format!("[{},{}]", log(&fits, 7), log(&other, 8).replace(&format!("{:#066x}", 8), "0x"))
        }
        Ok(Read::Call { data, .. }) => format!("\"{:#066x}\"", U256::from(data.len())),
        Ok(Read::Balance { .. }) => "\"0x5\"".into(),
        Ok(Read::Code { .. }) => "\"0x\"".into(),
        Ok(Read::StorageAt { slot, .. }) => format!("\"{slot:#066x}\""),
        Err(_) => return ReadAnswer::Failed,
    };
    ReadAnswer::Ok(json)
}

fn run(code: &str) -> Report {
    let imports = "import { parseAbi, parseAbiItem } from \"viem\";\nconst transfer = parseAbiItem(\"event Transfer(address indexed from, address indexed to, uint256 value)\");\nconst approval = parseAbiItem(\"event Approval(address indexed owner, address indexed spender, uint256 value)\");";
    let show = "const show = (v: any): string => typeof v === 'bigint' ? v + 'n' : Array.isArray(v) ? '[' + v.map(show).join() + ']' : v && typeof v === 'object' ? '{' + Object.entries(v).map(([k, x]) => k + ':' + show(x)).join() + '}' : JSON.stringify(v);";
    sandbox(1).run_blocking(
        job(&format!(
            "{imports}\n{show}\nexport default {{ async run(ctx: any) {{ const chain = ctx.chain(31337);\nconst token = \"0x2222222222222222222222222222222222222222\";\n{code}\n}} }};"
        )),
        Arc::new(Answers(answer)),
    )
}

/// The one line that the code logs.
fn shown(code: &str) -> String {
    let report = run(code);
    assert_eq!((report.outcome, report.logs.len()), (Outcome::NothingToDo, 1), "{code} {:?}", report.logs);
    report.logs[0].clone()
}

#[test]
fn blocks_come_typed_and_not_beyond_the_pin() {
    let miner = "\"0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045\"";
    let block = |number| {
        format!(
            "{{number:{number}n,hash:\"0xaa\",parentHash:\"0xbb\",timestamp:100n,gasLimit:21000n,gasUsed:0n,baseFeePerGas:null,miner:{miner},mixHash:\"0xcc\"}}"
        )
    };
    assert_eq!(shown("ctx.log(show(await chain.getBlock()));"), block(16));
    assert_eq!(shown("ctx.log(show(await chain.getBlock({ blockNumber: 5n })));"), block(5));
    assert_eq!(shown("ctx.log(show(await chain.getBlock({ blockNumber: 0 })));"), block(0));
    assert_eq!(
        shown("ctx.log(show(Object.keys(await chain.getBlock())));"),
        format!("[\"{}\"]", BLOCK_FIELDS.join("\",\""))
    );
    assert_eq!(
        threw(&run("\nawait chain.getBlock({ blockNumber: 17n });")),
        ("ReadRefused: getBlock: block 17 is beyond the block that this slot reads at".into(), Some(8))
    );
    assert_eq!(
        shown("try { await chain.getBlock({ blockNumber: 17n }); } catch (e) { ctx.log(e.name); }"),
        "ReadRefused"
    );
    for number in ["-1n", "-1", "1.5", "1n << 64n", "'5'", "null"] {
        let (message, _) = threw(&run(&format!("await chain.getBlock({{ blockNumber: {number} }});")));
        assert!(message.contains("is not a block number"), "{number} {message}");
    }
}

#[test]
fn logs_are_asked_for_canonically_and_come_decoded() {
    let asked = |code: &str| {
        let report = run(code);
        assert_eq!(report.outcome, Outcome::NothingToDo, "{code}");
        report.reads[0].0.read().unwrap()
    };
    let logs = |topics: Vec<Vec<B256>>, from_block, to_block| Read::Logs {
        address: vec![Address::from(TOKEN)],
        topics,
        from_block,
        to_block,
    };
    let approval = keccak256("Approval(address,address,uint256)");
    for (filter, expected) in [
        ("", logs(vec![], None, None)),
        ("fromBlock: 3n, toBlock: 12", logs(vec![], Some(3), Some(12))),
        ("event: transfer", logs(vec![vec![transfer()]], None, None)),
        ("events: [transfer, approval]", logs(vec![vec![transfer(), approval]], None, None)),
        (
            "event: transfer, args: { to: ctx.account }",
            logs(vec![vec![transfer()], vec![], vec![account(0x11)]], None, None),
        ),
        ("event: transfer, args: [token]", logs(vec![vec![transfer()], vec![account(0x22)]], None, None)),
        (
            "event: transfer, args: { to: null, from: [token, ctx.account] }",
            logs(vec![vec![transfer()], vec![account(0x22), account(0x11)]], None, None),
        ),
        ("event: transfer, args: {}", logs(vec![vec![transfer()]], None, None)),
    ] {
        assert_eq!(asked(&format!("await chain.getLogs({{ address: token, {filter} }});")), expected, "{filter}");
    }
    assert_eq!(
        shown(
            "ctx.log(show((await chain.getLogs({ address: [token], event: transfer })).map((log) => [log.eventName, log.args, log.blockNumber, log.logIndex])));"
        ),
        "[[\"Transfer\",{from:\"0x0101010101010101010101010101010101010101\",to:\"0x1111111111111111111111111111111111111111\",value:7n},15n,3]]"
    );
    assert_eq!(
        shown(
            "const logs = await chain.getLogs({ address: token }); ctx.log(show([logs.length, Object.keys(logs[0])]));"
        ),
        format!("[2,[\"{}\"]]", LOG_FIELDS.join("\",\""))
    );
    for filter in ["fromBlock: 5n, toBlock: 4n", "toBlock: 17n", "fromBlock: 17n"] {
        let (message, line) = threw(&run(&format!("\nawait chain.getLogs({{ address: token, {filter} }});")));
        assert!(message.starts_with("ReadRefused: getLogs: ") && line == Some(8), "{filter} {message} {line:?}");
    }
    for (filter, expected) in [
        ("address: []", "getLogs: address: expected 1 to 16 addresses"),
        ("address: Array(17).fill(token)", "getLogs: address: expected 1 to 16 addresses"),
        ("", "getLogs: address: undefined is not an address"),
        ("address: token, event: parseAbiItem('function f()')", "is not an ABI event"),
        ("address: token, args: { to: token }", "getLogs: args need the one event"),
        ("address: token, event: transfer, args: { value: 5n }", "Transfer has no indexed argument \"value\""),
        ("address: token, event: transfer, args: { to: '0x12' }", "expected an address"),
        ("address: token, event: transfer, args: { to: Array(17).fill(token) }", "at most 16 values"),
        ("address: token, fromBlock: -1n", "fromBlock: -1n is not a block number"),
    ] {
        let (message, _) = threw(&run(&format!("await chain.getLogs({{ {filter} }});")));
        assert!(message.contains(expected), "{filter} {message}");
    }
}

#[test]
fn everything_the_sdk_asks_for_is_understood() {
    let code = "const abi = parseAbi(['function f(bytes a) view returns (uint256)']);
        await Promise.all([chain.getBalance(token), chain.getCode({ address: token.toUpperCase().replace('X', 'x') }), chain.getStorageAt({ address: token, slot: 0n }), chain.getStorageAt({ address: token, slot: '0x00ff' }),
          chain.call({ to: token, data: '0xABCD' }), chain.call({ to: token }), chain.getBlockNumber(), chain.getBlock(), chain.getLogs({ address: token }),
          chain.readContract({ address: token, abi, functionName: 'f', args: ['0xAB'] })]);";
    let report = run(code);
    assert_eq!(report.outcome, Outcome::NothingToDo);
    assert_eq!(report.reads.len(), 10);
    for (request, _) in &report.reads {
        let read = request.read().unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert_eq!((read.method(), read.params()), (request.method.as_str(), request.params.clone()));
    }
}

#[test]
fn reads_that_are_started_together_travel_together() {
    let held = Arc::new(Held::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    let code = "const abi = parseAbi(['function f(uint256 a) view returns (uint256)']);
        const ask = (n: bigint) => ({ address: ctx.account, abi, functionName: 'f', args: [n] });
        ctx.log((await ctx.chain(31337).readContracts([ask(1n), ask(2n), ask(3n)])).join());";
    let code = format!("import {{ parseAbi }} from 'viem';\nexport default {{ async run(ctx: any) {{\n{code}\n}} }};");
    let sandbox = sandbox(1);
    sandbox.submit(job(&code), held.clone(), Box::new(move |report| sender.send(report).unwrap())).unwrap();
    wait_until(|| held.0.lock().unwrap().len() == 3);
    for (number, (_, reply)) in std::mem::take(&mut *held.0.lock().unwrap()).into_iter().enumerate() {
        reply.answer(ReadAnswer::Ok(word(number as u64 + 10)));
    }
    assert_eq!(receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap().logs, ["10,11,12"]);
}
