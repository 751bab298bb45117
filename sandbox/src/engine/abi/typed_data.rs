//! EIP-712: the hash that a wallet signs.

use std::collections::BTreeMap;

use alloy::{
    dyn_abi::{
        DynSolType,
        eip712::{PropertyDef, Resolver, TypeDef},
    },
    primitives::{B256, keccak256},
};
use serde::Deserialize;
use serde_json::Value;

use super::value::coerce;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedData {
    types: BTreeMap<String, Vec<Field>>,
    primary_type: String,
    domain: Value,
    #[serde(default)]
    message: Value,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    ty: String,
}

const DOMAIN: &str = "EIP712Domain";

pub(super) fn hash(text: &str) -> Result<B256, String> {
    let data: TypedData = serde_json::from_str(text).map_err(|error| format!("not typed data: {error}"))?;
    let mut resolver = Resolver::default();
    for (name, fields) in data.types {
        let mut properties = Vec::with_capacity(fields.len());
        for Field { name: field, ty } in fields {
            if matches!(ty.split('[').next(), Some("uint" | "int")) {
                return Err(format!("{name}.{field}: write {ty} with its bits, such as uint256"));
            }
            properties.push(PropertyDef::new(ty, field).map_err(|error| format!("{name}: {error}"))?);
        }
        if DynSolType::parse(&name).is_ok() {
            return Err(format!("{name} is a type of Solidity, not a struct"));
        }
        resolver.ingest(TypeDef::new(name, properties).map_err(|error| error.to_string())?);
    }
    let of = |name: &str, value: &Value, at: &str| -> Result<B256, String> {
        if !resolver.contains_type_name(name) {
            return Err(format!("types has no {name}"));
        }
        let kind = resolver.resolve(name).map_err(|error| error.to_string())?;
        resolver.eip712_data_word(&coerce(&kind, &[], value, at)?).map_err(|error| error.to_string())
    };
    let mut preimage = vec![0x19, 0x01];
    preimage.extend(of(DOMAIN, &data.domain, "domain")?);
    if data.primary_type != DOMAIN {
        preimage.extend(of(&data.primary_type, &data.message, "message")?);
    }
    Ok(keccak256(preimage))
}
