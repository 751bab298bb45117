#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(of: &str, json: Value) -> Result<DynSolValue, String> {
    value(&of.parse().unwrap(), &json)
}

#[test]
fn values_are_read_as_documents_write_them() {
    let uint = |number: u64| DynSolValue::Uint(U256::from(number), 256);
    assert_eq!(read("uint256", json!("12")), Ok(uint(12)));
    assert_eq!(read("uint256", json!(12)), Ok(uint(12)));
    assert_eq!(read("uint256", json!("0x0c")), Ok(uint(12)));
    assert_eq!(read("bool", json!("false")), Ok(DynSolValue::Bool(false)));
    assert_eq!(read("bytes", json!("0x")), Ok(DynSolValue::Bytes(Vec::new())));
    assert_eq!(read("string", json!("12")), Ok(DynSolValue::String("12".into())));
    let list = Ok(DynSolValue::Array(vec![uint(1), uint(2)]));
    for written in [json!([1, "2"]), json!("1,2"), json!("[1, 2]")] {
        assert_eq!(read("uint256[]", written.clone()), list, "{written}");
    }
    assert_eq!(read("uint256[]", json!("")), Ok(DynSolValue::Array(Vec::new())));
    assert!(read("(uint256,bool)", json!(["1", true])).is_ok());
}

#[test]
fn numbers_keep_to_their_type() {
    for (of, fits, beyond) in [
        ("uint8", "255", "256"),
        ("int8", "127", "128"),
        ("int8", "-128", "-129"),
        (
            "uint256",
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
            "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        ),
        (
            "int256",
            "-57896044618658097711785492504343953926634992332820282019728792003956564819968",
            "-57896044618658097711785492504343953926634992332820282019728792003956564819969",
        ),
    ] {
        assert!(read(of, json!(fits)).is_ok(), "{fits}");
        assert!(read(of, json!(beyond)).unwrap_err().contains("is not a"), "{beyond}");
    }
    assert_eq!(read("int256", json!(-5)), read("int256", json!("-5")));
}

#[test]
fn what_is_no_value_is_said_with_what_is_wanted() {
    for (of, json, cause) in [
        ("uint256", json!(1.5), "not whole"),
        ("uint256", json!(1e30), "write it as text"),
        ("uint256", json!("1e18"), "in digits"),
        ("uint256", json!("-1"), "in digits"),
        ("uint256", json!(-1), "in digits"),
        ("uint256", json!("1 ether"), "in digits"),
        ("uint256", json!(""), "in digits"),
        ("uint256", json!("9".repeat(500)), "…"),
        ("uint256", json!(null), "in digits"),
        ("bool", json!(1), "true or false"),
        ("address", json!("0x01"), "40 hexadecimal"),
        ("address", json!("vitalik.eth"), "40 hexadecimal"),
        ("bytes4", json!("0x01"), "4 bytes"),
        ("bytes", json!("01"), "with 0x"),
        ("bytes", json!("0x0x01"), "with 0x"),
        ("string", json!(5), "a text"),
        ("uint256[2]", json!([1]), "1 elements, the type has 2"),
        ("uint256[]", json!({ "a": 1 }), "a list"),
        ("string[]", json!("a,b"), "a list"),
        ("(uint256,bool)", json!([1]), "2 values"),
        ("function", json!("0x"), "not supported"),
        ("uint256", json!("$wasm:balance"), "TypeScript"),
        ("string", json!("$ref:{}"), "TypeScript"),
        ("uint8[]", json!(",".repeat(5_000)), "digits"),
        ("uint8[]", json!(vec![1; 5_000]), "4096 elements"),
        ("uint8[99999999999]", json!([]), "99999999999"),
    ] {
        let error = read(of, json).unwrap_err();
        assert!(error.contains(cause) && error.len() < 260, "{of}: {error}");
    }
}

#[test]
fn topics_are_words_and_hashes() {
    let of = |text: &str| text.parse::<DynSolType>().unwrap();
    assert_eq!(topic(&of("string"), &json!("a")).unwrap(), keccak256("a"));
    assert_eq!(topic(&of("uint8"), &json!(7)).unwrap(), B256::with_last_byte(7));
    assert!(topic(&of("uint8[]"), &json!([7])).unwrap_err().contains("filtered"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[-0-9a-fx,\\[\\]\"$. ]{0,40}".prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| proptest::collection::vec(inner, 0..5).prop_map(Value::from))
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_or_refused(json in any_json(), of in 0usize..11) {
        let types = ["uint8", "int16", "uint256", "bool", "address", "bytes", "bytes32", "string", "int256[]", "(bool,uint8)[2]", "bytes3[][]"];
        if let Ok(value) = read(types[of], json) {
            prop_assert!(value.matches(&types[of].parse().unwrap()));
        }
    }

    #[test]
    fn numbers_mean_themselves(number: i128) {
        let Ok(DynSolValue::Int(found, 256)) = read("int256", json!(number.to_string())) else { panic!("{number}") };
        prop_assert_eq!(found.to_string(), number.to_string());
    }
}
