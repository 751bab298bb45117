//! The viem subset: results as viem 2 gives them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::*;

#[test]
fn the_subset_answers_as_viem_does() {
    let cases = [
        (
            "encodeFunctionData({ abi: parseAbi(['function transfer(address to, uint256 amount) returns (bool)']), functionName: 'transfer', args: ['0x3333333333333333333333333333333333333333', 5n] })",
            "0xa9059cbb00000000000000000000000033333333333333333333333333333333333333330000000000000000000000000000000000000000000000000000000000000005",
        ),
        ("toFunctionSelector('transfer(address,uint256)')", "0xa9059cbb"),
        ("toFunctionSelector('function balanceOf(address owner) view returns (uint256)')", "0x70a08231"),
        ("keccak256('0x')", "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        ("keccak256(toHex('hello'))", "0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8"),
        ("getAddress('0xd8da6bf26964af9d7eed9e03e53415d37aa96045')", "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"),
        ("isAddress('0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046')", "false"),
        ("isAddress('0xd8da6bf26964af9d7eed9e03e53415d37aa96045')", "true"),
        (
            "isAddressEqual('0xd8da6bf26964af9d7eed9e03e53415d37aa96045', '0xD8DA6BF26964AF9D7EED9E03E53415D37AA96045')",
            "true",
        ),
        ("parseEther('1.5')", "1500000000000000000"),
        ("formatEther(1500000000000000000n)", "1.5"),
        ("parseUnits('-0.000001', 6)", "-1"),
        ("formatUnits(-1n, 6)", "-0.000001"),
        ("parseUnits('1.0000005', 6)", "1000001"),
        ("formatUnits(420n, 0)", "420"),
        ("toHex(420)", "0x1a4"),
        ("toHex('Hi', { size: 4 })", "0x48690000"),
        ("numberToHex(-1n, { size: 2, signed: true })", "0xffff"),
        ("hexToBigInt('0xffff', { signed: true })", "-1"),
        ("fromHex('0x1a4', 'number')", "420"),
        ("fromHex('0x4869', 'string')", "Hi"),
        ("fromHex('0x010203', 'bytes').join()", "1,2,3"),
        ("concat(['0x12', '0x34'])", "0x1234"),
        ("pad('0x1', { size: 2 })", "0x0001"),
        ("pad('0x1', { size: 2, dir: 'right' })", "0x1000"),
        ("size('0x1234')", "2"),
        ("slice('0x123456', 1, 2)", "0x34"),
        ("slice('0x123456', -1)", "0x56"),
        ("maxUint256", "115792089237316195423570985008687907853269984665640564039457584007913129639935"),
        (
            "encodePacked(['address', 'uint8', 'string'], ['0x3333333333333333333333333333333333333333', 7, 'ab'])",
            "0x3333333333333333333333333333333333333333076162",
        ),
        (
            "encodeAbiParameters([{ type: 'uint256' }, { type: 'string' }], [1n, 'a'])",
            "0x0000000000000000000000000000000000000000000000000000000000000001000000000000000000000000000000000000000000000000000000000000004000000000000000000000000000000000000000000000000000000000000000016100000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "show(decodeAbiParameters([{ type: 'int256' }, { type: 'uint8' }, { type: 'bool' }], '0x' + 'ff'.repeat(32) + '00'.repeat(31) + '07' + '00'.repeat(31) + '01'))",
            "[-1n,7,true]",
        ),
        (
            "show(decodeFunctionResult({ abi: parseAbi(['function f() view returns (uint256 a, address b)']), functionName: 'f', data: '0x' + '00'.repeat(31) + '05' + '00'.repeat(12) + '33'.repeat(20) }))",
            "[5n,\"0x3333333333333333333333333333333333333333\"]",
        ),
        (
            "show(decodeFunctionResult({ abi: parseAbi(['function f() view returns ((uint256, uint32) x)']), functionName: 'f', data: '0x' + '00'.repeat(31) + '05' + '00'.repeat(31) + '06' }))",
            "[5n,6]",
        ),
        (
            "show(decodeAbiParameters([{ type: 'tuple', name: 'x', components: [{ name: 'a', type: 'uint256' }, { name: 'b', type: 'uint32' }] }], '0x' + '00'.repeat(31) + '05' + '00'.repeat(31) + '06'))",
            "[{\"a\":5n,\"b\":6}]",
        ),
        (
            "show(decodeFunctionData({ abi: parseAbi(['function a()', 'function b(bytes4 x, bool[2] y)']), data: encodeFunctionData({ abi: parseAbi(['function b(bytes4, bool[2])']), args: ['0x12345678', [true, false]] }) }))",
            "{\"functionName\":\"b\",\"args\":[\"0x12345678\",[true,false]]}",
        ),
        ("parseAbiItem('function f(uint a) view returns (bool)').inputs[0].type", "uint256"),
    ];
    let imports = "import { encodeFunctionData, parseAbi, parseAbiItem, toFunctionSelector, keccak256, toHex, getAddress, isAddress, isAddressEqual, parseEther, formatEther, parseUnits, formatUnits, numberToHex, hexToBigInt, fromHex, concat, pad, size, slice, maxUint256, encodePacked, encodeAbiParameters, decodeAbiParameters, decodeFunctionResult, decodeFunctionData } from 'viem';";
    let show = "const show = (v: any): string => typeof v === 'bigint' ? v + 'n' : Array.isArray(v) ? '[' + v.map(show).join() + ']' : v && typeof v === 'object' ? '{' + Object.entries(v).map(([k, x]) => JSON.stringify(k) + ':' + show(x)).join() + '}' : JSON.stringify(v);";
    let lines: String = cases.iter().map(|(code, _)| format!("ctx.log(String({code}));\n")).collect();
    let report = sandbox(1).run_blocking(
        job(&format!("{imports}\n{show}\nexport default {{ async run(ctx: any) {{\n{lines}\n}} }};")),
        none(),
    );
    assert_eq!(report.logs.len(), cases.len(), "{:?}", report.outcome);
    for ((code, expected), found) in cases.iter().zip(&report.logs) {
        assert_eq!(found, expected, "{code}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    let sandbox = sandbox(1);
    for (code, expected) in [
        ("encodeFunctionData({ abi, functionName: 'f', args: ['x', 1n] })", "f: to: expected an address, got \"x\""),
        (
            "encodeFunctionData({ abi, functionName: 'f', args: [zeroAddress, 256n] })",
            "f: small: expected a uint8, got \"256\"",
        ),
        ("encodeFunctionData({ abi, functionName: 'f', args: [zeroAddress] })", "f: takes 2 arguments, got 1"),
        ("encodeFunctionData({ abi, functionName: 'g' })", "encodeFunctionData: the ABI has no function \"g\""),
        (
            "decodeFunctionResult({ abi, functionName: 'f', data: '0x' })",
            "the data is empty: is there a contract at the address?",
        ),
    ] {
        let code = format!(
            "import {{ encodeFunctionData, decodeFunctionResult, parseAbi, zeroAddress }} from 'viem';\nconst abi = parseAbi(['function f(address to, uint8 small) returns (uint256)']);\nexport default {{ run() {{\n  {code};\n}} }};"
        );
        let report = sandbox.run_blocking(job(&code), none());
        assert_eq!(threw(&report), (expected.to_string(), Some(4)), "{code}");
    }
}
