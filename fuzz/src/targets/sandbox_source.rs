//! How deep a source nests, told without parsing it: any text has an answer, and brackets are counted right.
use crate::engine;

pub fn examples() -> Vec<Vec<u8>> {
    let texts = [
        "export default { async run(ctx) { return [{ to: ctx.account, data: `0x${1 + /[(]/.test(\"(\")}` }]; } };",
        "type A<T> = T extends (infer U)[] ? A<U> : never; // (((( \n/* [[[ */ const a = b / c / (d);",
        "`a${`b${`c`}`}` + 'x\\'(' + !!!x ? y : z",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn run(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let shallow = engine::too_deep(source, 16);
    let deep = engine::too_deep(source, 256);
    assert!(shallow || !deep, "what is too deep for 256 is too deep for 16");
    if source.bytes().all(|byte| b"([{".contains(&byte)) {
        assert_eq!(engine::too_deep(source, 64), source.len() > 64);
    }
}
