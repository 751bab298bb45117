//! What we sign, against vectors that independent implementations made (ethers, noble-curves), and that the contracts'
//! tests check as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::Path;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolStruct;
use ditto_core::bls::{PublicKey, Purpose, SecretKey, Signature, SignatureSum, possession_digest};
use ditto_core::consent::{Proposal, SigningDomain, UserOpConsent, UserOpRejection, VerdictBatch};
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/test/vectors").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> U256 {
    match value {
        Value::Number(number) => U256::from(number.as_u64().unwrap()),
        other => other.as_str().unwrap().parse().unwrap(),
    }
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

fn word(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

fn consent(value: &Value) -> UserOpConsent {
    UserOpConsent {
        userOpHash: word(&value["userOpHash"]),
        smartAccount: address(&value["smartAccount"]),
        sessionKey: address(&value["sessionKey"]),
        sessionNonce: number(&value["sessionNonce"]),
        validAfter: number(&value["validAfter"]).to(),
        validUntil: number(&value["validUntil"]).to(),
        targetChainId: number(&value["targetChainId"]),
    }
}

fn rejection(value: &Value) -> UserOpRejection {
    UserOpRejection {
        userOpHash: word(&value["userOpHash"]),
        smartAccount: address(&value["smartAccount"]),
        reason: number(&value["reason"]).to(),
    }
}

#[test]
fn eip712_digests_are_those_of_ethers() {
    let all = vectors("eip712.json");
    let domain = SigningDomain {
        chain_id: number(&all["domain"]["chainId"]).to(),
        attestation_center: address(&all["domain"]["verifyingContract"]),
        entry_point: Address::ZERO,
    };
    let eip712 = domain.eip712();
    assert_eq!(eip712.hash_struct(), word(&all["domainSeparator"]));
    let check = |case: &Value, hash: B256, digest: B256| {
        assert_eq!(hash, word(&case["structHash"]), "{case}");
        assert_eq!(digest, word(&case["digest"]), "{case}");
    };
    for case in list(&all["proposals"]) {
        let value = &case["value"];
        let proposal = Proposal {
            slot: number(&value["slot"]).to(),
            setId: number(&value["setId"]).to(),
            taskDefinitionId: number(&value["taskDefinitionId"]).to(),
            performer: address(&value["performer"]),
            aggregator: address(&value["aggregator"]),
            pins: word(&value["pins"]),
            tasks: word(&value["tasks"]),
            targetChainId: number(&value["targetChainId"]),
        };
        check(case, proposal.eip712_hash_struct(), domain.proposal_digest(&proposal));
    }
    for case in list(&all["consents"]) {
        let consent = consent(&case["value"]);
        check(case, consent.eip712_hash_struct(), consent.eip712_signing_hash(&eip712));
    }
    for case in list(&all["rejections"]) {
        let rejection = rejection(&case["value"]);
        check(case, rejection.eip712_hash_struct(), rejection.eip712_signing_hash(&eip712));
    }
    for case in list(&all["verdicts"]) {
        let value = &case["value"];
        let batch = VerdictBatch {
            proposal: word(&value["proposal"]),
            approved: list(&value["approved"]).iter().map(consent).collect(),
            rejected: list(&value["rejected"]).iter().map(rejection).collect(),
        };
        check(case, batch.eip712_hash_struct(), batch.eip712_signing_hash(&eip712));
    }
}

#[test]
fn bls_is_that_of_noble_curves() {
    let all = vectors("bls.json");
    let secrets: Vec<SecretKey> = list(&all["keys"])
        .iter()
        .map(|case| {
            let secret = SecretKey::from_bytes(&word(&case["secretKey"]).0).unwrap();
            let public = &case["publicKey"];
            assert_eq!(secret.public().to_eip2537().as_slice(), bytes(&public["eip2537"]).as_ref());
            assert_eq!(secret.public(), PublicKey::from_bytes(&bytes(&public["uncompressed"])).unwrap());
            secret
        })
        .collect();
    let key = |case: &Value| &secrets[case["key"].as_u64().unwrap() as usize];
    let same = |signature: &Signature, case: &Value| {
        assert_eq!(signature.to_bytes().as_slice(), bytes(&case["signature"]["uncompressed"]).as_ref());
        assert_eq!(signature.to_eip2537().as_slice(), bytes(&case["signature"]["eip2537"]).as_ref());
    };
    for case in list(&all["votes"]) {
        same(&key(case).sign(&word(&case["message"]).0, Purpose::Vote), case);
    }
    for case in list(&all["possessions"]) {
        let secret = key(case);
        let digest = possession_digest(
            address(&case["controller"]),
            number(&case["chainId"]).to(),
            address(&case["obls"]),
            &secret.public(),
        );
        assert_eq!(digest, word(&case["message"]));
        same(&secret.sign(&digest.0, Purpose::Possession), case);
    }
    for case in list(&all["aggregates"]) {
        let digest = word(&case["message"]).0;
        let mut sum = SignatureSum::default();
        for member in list(&case["members"]) {
            let secret = &secrets[member.as_u64().unwrap() as usize];
            sum.add(&secret.sign(&digest, Purpose::Vote), &secret.public());
        }
        same(&sum.verified(&digest, Purpose::Vote).unwrap(), case);
    }
    let outside = bytes(&all["outsideSubgroup"]["g2"]);
    assert!(PublicKey::from_eip2537(&outside).is_err(), "a key outside the subgroup is refused");
}
