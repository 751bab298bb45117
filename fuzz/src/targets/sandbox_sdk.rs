//! The native half of the SDK: JSON, signatures, types and data that a workflow makes up. It runs in the child, but what
//! crashes there costs an honest-looking workflow its outcome and the operator its verdict.
use crate::engine;

pub fn examples() -> Vec<Vec<u8>> {
    let tuple = r#"[{"type":"uint256[2][]","name":"a"},{"type":"tuple","name":"t","components":[{"type":"bytes","name":"x"},{"type":"int8","name":"y"}]},{"type":"string"}]"#;
    let item = format!(r#"{{"type":"function","name":"f","inputs":{tuple},"outputs":[]}}"#);
    let args = r#"[[[1,"2"],["0x3",4]],{"x":"0x1234","y":-5},"text"]"#;
    let coded = engine::sdk(3, tuple, args).and_then(Result::ok).unwrap_or_default();
    let typed = r#"{"types":{"A":[{"name":"b","type":"uint256[]"}]},"primaryType":"A","domain":{"name":"x","chainId":1},"message":{"b":[1,2]}}"#;
    [
        (0, r#"["function f(uint256 a, (address to, bytes data)[2] t) view returns (bool)","error E(string why)","struct S { uint8 a; }","event X(S indexed s)"]"#, ""),
        (1, r#"["uint256 a, (bool b, int8[3] c) d"]"#, ""),
        (2, item.as_str(), args),
        (3, tuple, args),
        (4, tuple, coded.as_str()),
        (5, r#"["uint8","string","address[]","bytes3"]"#, r#"[1,"x",["0x1111111111111111111111111111111111111111"],"0x112233"]"#),
        (6, typed, ""),
        (7, "0x1111111111111111111111111111111111111111", "30"),
        (8, "0x1111111111111111111111111111111111111111", "7"),
        (10, "0xc3a9ff", ""),
    ]
    .into_iter()
    .map(|(function, first, second)| [&[function][..], first.as_bytes(), &[0xff], second.as_bytes()].concat())
    .collect()
}

pub fn run(data: &[u8]) {
    let Some((function, texts)) = data.split_first() else { return };
    // 0xff is no part of UTF-8, so it separates.
    let mut texts = texts.splitn(2, |byte| *byte == 0xff);
    let mut next = || std::str::from_utf8(texts.next().unwrap_or_default()).ok();
    let (Some(first), Some(second)) = (next(), next()) else { return };
    let Some(answer) = engine::sdk(*function, first, second) else { return };
    match (function, &answer) {
        // What was encoded can be decoded, and encodes to the same bytes again.
        (3, Ok(coded)) if coded != "0x" => {
            let decoded = engine::sdk(4, first, coded).expect("there is such a function");
            assert!(decoded.is_ok(), "{first} {second}: {coded} does not decode: {decoded:?}");
        }
        (0 | 1, Ok(json)) => assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}"),
        _ => {}
    }
}
