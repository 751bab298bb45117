//! What strangers' text meets in the child.
#[path = "../../sandbox/src/engine/abi/mod.rs"]
pub mod abi;
#[path = "../../sandbox/src/engine/nesting.rs"]
pub mod nesting;

/// A function of the SDK's native half, by number.
pub fn sdk(function: u8, first: &str, second: &str) -> Option<Result<String, String>> {
    Some(match function {
        0 => abi::parse(first),
        1 => abi::parse_parameters(first),
        2 => abi::encode_function(first, second),
        3 => abi::encode_params(first, second),
        4 => abi::decode_params(first, second),
        5 => abi::encode_packed(first, second),
        6 => abi::hash_typed_data(first),
        7 => abi::checksum(first, second),
        8 => abi::create_address(first, second),
        9 => abi::create2_address(first, second, second),
        10 => abi::hex_to_utf8(first),
        11 => abi::keccak(first),
        _ => return None,
    })
}

pub fn too_deep(source: &str, brackets: u32) -> bool {
    nesting::exceeds(source, brackets)
}
