#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn item(signature: &str) -> Result<Value, String> {
    let answer = parse(&json!([signature]).to_string())?;
    Ok(serde_json::from_str::<Value>(&answer).unwrap()[0].clone())
}

#[test]
fn structs_are_written_out_where_they_are_used() {
    let answer = parse(
        &json!(["struct B { A[2] list; bool on; }", "function f(B b, A a) returns (A[])", "struct A { uint x; }"])
            .to_string(),
    )
    .unwrap();
    let a = json!([{"type": "uint256", "name": "x"}]);
    let expected = json!([{
        "name": "f", "type": "function", "stateMutability": "nonpayable",
        "inputs": [
            {"type": "tuple", "name": "b", "components": [
                {"type": "tuple[2]", "name": "list", "components": a}, {"type": "bool", "name": "on"}]},
            {"type": "tuple", "name": "a", "components": a},
        ],
        "outputs": [{"type": "tuple[]", "components": a}],
    }]);
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), expected);
}

#[test]
fn structs_that_explode_are_refused() {
    let mut signatures = vec!["struct S0 { uint256 a; }".to_string()];
    signatures.extend((1..40).map(|n| format!("struct S{n} {{ S{} a; S{} b; }}", n - 1, n - 1)));
    assert!(parse(&json!(signatures).to_string()).unwrap_err().contains("4096"));
    // Used again and again instead.
    let wide: String = (0..60).map(|n| format!("uint256 a{n}; ")).collect();
    let uses: Vec<_> = (0..60).map(|n| format!("W x{n}")).collect();
    let abi = json!([
        format!("struct W {{ {wide}}}"),
        format!("function f({})", uses.join(", ")),
        format!("function g({})", uses.join(", "))
    ]);
    assert!(parse(&abi.to_string()).unwrap_err().contains("4096"));
    assert!(item(&format!("function f({}uint256{})", "(".repeat(40), ")".repeat(40))).unwrap_err().contains("nest"));
}

#[test]
fn types_of_any_length_cost_nothing() {
    let decode = |ty: &str| decode_params(&json!([{ "type": ty }]).to_string(), &format!("0x{}", "00".repeat(64)));
    for ty in [
        "uint256[1000000000000]",
        "uint256[65537]",
        "uint256[99999999999999999999999999]",
        "uint256[1000][1000][1000]",
        "string[70000]",
        "uint256[0][1000000000]",
        &"uint256".repeat(100_000),
        &format!("uint256{}", "[]".repeat(100_000)),
        "uint256[",
        "uint256]",
        "uint256[]x",
        "uint256[-1]",
        "[]",
        "",
        "é[]",
        "(uint256)",
        "function",
    ] {
        let short: String = ty.chars().take(40).collect();
        let message = decode(ty).expect_err(&short);
        assert!(message.len() < 300, "{short}");
    }
    // Each of them is small enough.
    let wide = json!(vec![json!({ "type": "uint256[60000]" }); 1_000]).to_string();
    assert!(decode_params(&wide, &format!("0x{}", "00".repeat(64))).unwrap_err().contains("larger than"));
    // A length that the data cannot hold is found before anything is made of it.
    let bomb = format!("0x{:064x}{:064x}", 32, u64::MAX);
    assert!(decode_params(r#"[{"type":"uint256[]"}]"#, &bomb).is_err());
    assert!(decode_params(r#"[{"type":"bytes"}]"#, &bomb).is_err());
}

#[test]
fn a_second_prefix_is_not_hex() {
    for (ty, value) in
        [("bytes", "0x0xab"), ("bytes2", "0x0xab"), ("address", "0x0x33333333333333333333333333333333333333")]
    {
        assert!(encode_params(&json!([{ "type": ty }]).to_string(), &json!([value]).to_string()).is_err(), "{value}");
    }
    assert!(keccak("0x0xab").is_err());
}

#[test]
fn a_tagged_string_is_what_it_was() {
    let encode =
        |ty: &str, value: &str| encode_params(&json!([{ "type": ty }]).to_string(), &json!([value]).to_string());
    assert_eq!(encode("string", "\0s\0n5"), encode("string", "\0s\0n5"));
    assert!(encode("string", "\0n5").is_err(), "a bigint is not a string");
    assert_eq!(encode("uint8", "\0n5"), encode("uint8", "5"));
    assert!(encode("uint8", "\0s5").is_err());
}

proptest! {
    #[test]
    fn any_signature_is_read_or_refused(text in "(function|event|error|struct|constructor|fallback)?[ ]?[a-z]{0,3}[ ]?[(){}\\[\\],; a-z0-9]{0,60}") {
        if let Ok(answer) = parse(&json!([text]).to_string()) {
            prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
        }
        if let Ok(answer) = parse_parameters(&json!([text]).to_string()) {
            prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
        }
    }

    #[test]
    fn any_data_is_decoded_or_refused(
        data in prop::collection::vec(any::<u8>(), 0..300),
        small in prop::collection::vec(0u8..3, 0..10),
        ty in prop::sample::select(vec!["uint8", "bool", "bytes", "string", "uint256[]", "string[]", "bytes4[2][]", "tuple", "tuple[]", "int40"]),
    ) {
        let list = json!([{ "type": ty, "components": [{"type": "string", "name": "a"}, {"type": "uint64[]", "name": "b"}] }]).to_string();
        // Small numbers where pointers and lengths stand, so that decoding gets somewhere.
        let words: Vec<u8> = small.iter().flat_map(|n| { let mut word = [0; 32]; word[31] = n * 32; word }).chain(data).collect();
        if let Ok(answer) = decode_params(&list, &hex::encode_prefixed(&words)) {
            prop_assert!(serde_json::from_str::<Value>(&answer).is_ok());
        }
    }

    #[test]
    fn what_is_encoded_comes_back(
        number in any::<[u8; 32]>(), text in "\\PC{0,40}", data in prop::collection::vec(any::<u8>(), 0..70), list in prop::collection::vec(any::<i32>(), 0..5), on in any::<bool>(),
    ) {
        let number = U256::from_be_bytes(number).to_string();
        let data = hex::encode_prefixed(data);
        let types = json!([
            {"type": "uint256"}, {"type": "string"}, {"type": "int32[]"},
            {"type": "tuple", "components": [{"type": "bytes", "name": "z"}, {"type": "bool", "name": "a"}]},
        ]).to_string();
        let args = json!([format!("\0n{number}"), format!("\0s{text}"), list, {"a": on, "z": data}]).to_string();
        let decoded = decode_params(&types, &encode_params(&types, &args).unwrap()).unwrap();
        let decoded_json: Value = serde_json::from_str(&decoded).unwrap();
        prop_assert_eq!(decoded_json, json!([format!("n{number}"), format!("s{text}"), list, {"z": format!("s{data}"), "a": on}]));
        // In the order of the components, whatever the JSON library makes of objects.
        prop_assert!(decoded.find("\"z\":").unwrap() < decoded.find("\"a\":").unwrap());
    }
}
