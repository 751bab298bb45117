use alloy::primitives::hex;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The Web3 Secret Storage definition's own vectors: this secret, this password.
const WEB3_SECRET: [u8; 32] = hex!("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d");
const WEB3_PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
    "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,
    "dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
    "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
    "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
const WEB3_SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
    "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,
    "n":262144,"r":1,"p":8,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
    "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
    "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

/// EIP-2335's own vectors.
const BLS_SECRET: [u8; 32] = hex!("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
const BLS_PASSWORD: &str = "\u{1d531}\u{1d522}\u{1d530}\u{1d531}\u{1d52d}\u{1d51e}\u{1d530}\u{1d530}\u{1d534}\u{1d52c}\u{1d52f}\u{1d521}\u{1f511}";
const SALT: &str = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";
const G1_KEY: &str = "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07";

fn bls_vector(kdf: Value, checksum: &str, message: &str) -> String {
    json!({
        "crypto": {
            "kdf": kdf,
            "checksum": { "function": "sha256", "params": {}, "message": checksum },
            "cipher": { "function": "aes-128-ctr", "params": { "iv": "264daa3f303d7259501c93d997d84fe6" }, "message": message },
        },
        "pubkey": G1_KEY, "path": "m/12381/60/3141592653/589793238", "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
        "version": 4,
    })
    .to_string()
}

fn bls_scrypt() -> String {
    bls_vector(
        json!({ "function": "scrypt", "params": { "dklen": 32, "n": 262144, "p": 1, "r": 8, "salt": SALT }, "message": "" }),
        "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
        "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
    )
}

fn bls_pbkdf2() -> String {
    bls_vector(
        json!({ "function": "pbkdf2", "params": { "dklen": 32, "c": 262144, "prf": "hmac-sha256", "salt": SALT }, "message": "" }),
        "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
        "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
    )
}

#[test]
fn the_formats_published_vectors_open() {
    for json in [WEB3_PBKDF2, WEB3_SCRYPT] {
        let (kind, secret) = open(json, &Password::new("testpassword")).unwrap();
        assert_eq!((kind, secret.expose()), (KeyKind::Ecdsa, &WEB3_SECRET));
    }
    for json in [bls_scrypt(), bls_pbkdf2()] {
        let (kind, secret) = open(&json, &Password::new(BLS_PASSWORD)).unwrap();
        assert_eq!((kind, secret.expose()), (KeyKind::Bls, &BLS_SECRET));
        // NFKD makes plain letters of these, and control codes are nothing.
        open(&json, &Password::new("test\u{7f}passwo\u{80}rd\u{1f511}\n")).unwrap();
    }
}

#[test]
fn what_is_sealed_opens_with_its_password_alone() {
    let password = Password::new("correct horse");
    for kind in [KeyKind::Ecdsa, KeyKind::Bls] {
        let secret = generate(kind).unwrap();
        let json = seal(kind, &secret, &password, Cost::Light).unwrap();
        assert!(is_keystore(&json) && !json.contains(&alloy::hex::encode(secret.expose())));
        let (opened, again) = open(&json, &password).unwrap();
        assert_eq!((opened, again.expose()), (kind, secret.expose()));
        assert_eq!(open(&json, &Password::new("correct horsf")).unwrap_err(), KeystoreError::WrongPassword);
        let described = describe(&json).unwrap();
        assert_eq!(described, Described { kind, public: Some(public_of(kind, &secret).unwrap()) });
        let other = seal(kind, &secret, &password, Cost::Light).unwrap();
        assert_ne!(other, json, "salt and IV are drawn anew");
    }
    assert_eq!(format!("{password:?}"), "[redacted]");
}

/// A keystore with one thing in it changed.
fn changed(json: &str, path: &str, value: Value) -> String {
    let mut stored: Value = serde_json::from_str(json).unwrap();
    *stored.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = value;
    stored.to_string()
}

#[test]
fn a_keystore_that_asks_for_too_much_is_refused_before_it_gets_it() {
    let password = Password::new("x");
    for (path, value) in [
        ("/crypto/kdfparams/n", json!(1_u64 << 40)),
        ("/crypto/kdfparams/n", json!(u64::MAX)),
        ("/crypto/kdfparams/n", json!(262_143)),
        ("/crypto/kdfparams/n", json!(0)),
        ("/crypto/kdfparams/r", json!(u64::MAX)),
        ("/crypto/kdfparams/r", json!(0)),
        ("/crypto/kdfparams/p", json!(1 << 20)),
        ("/crypto/kdfparams/p", json!(0)),
        ("/crypto/kdfparams/dklen", json!(1 << 30)),
        ("/crypto/kdf", json!("md5")),
        ("/crypto/cipher", json!("none")),
    ] {
        let error = open(&changed(WEB3_SCRYPT, path, value.clone()), &password).unwrap_err();
        assert!(matches!(error, KeystoreError::Unsupported(_)), "{path} {value}: {error:?}");
    }
    for value in [0, u64::from(u32::MAX), 1 << 33] {
        let error = open(&changed(WEB3_PBKDF2, "/crypto/kdfparams/c", json!(value)), &password).unwrap_err();
        assert!(matches!(error, KeystoreError::Unsupported(_)), "{value}: {error:?}");
    }
    assert!(matches!(open(&" ".repeat(MAX_BYTES + 1), &password), Err(KeystoreError::Malformed(_))));
    for (text, version) in [("{\"version\":1}", 1), ("{\"version\":5}", 5)] {
        assert_eq!(open(text, &password).unwrap_err(), KeystoreError::Version(version));
    }
}

#[test]
fn a_key_that_is_not_the_one_it_says_is_refused() {
    let password = Password::new("correct horse");
    for (kind, path, length) in [(KeyKind::Ecdsa, "/address", 40), (KeyKind::Bls, "/pubkey", 192)] {
        let json = seal(kind, &generate(kind).unwrap(), &password, Cost::Light).unwrap();
        let error = open(&changed(&json, path, json!("7".repeat(length))), &password).unwrap_err();
        assert!(matches!(error, KeystoreError::OtherKey { .. }), "{error:?}");
    }
    let zero = Secret::new([0; 32]);
    for kind in [KeyKind::Ecdsa, KeyKind::Bls] {
        assert_eq!(seal(kind, &zero, &password, Cost::Light).unwrap_err(), KeystoreError::NotAKey(kind));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_text_is_no_keystore(text: String) {
        let _refused = open(&text, &Password::new("x")).is_err();
    }

    /// Every leaf replaced by something else: refused, never a panic and never much work.
    #[test]
    fn a_tampered_keystore_is_refused(which in 0_usize..13, value in prop_oneof![
        Just(Value::Null), Just(json!("")), Just(json!("00")), Just(json!("zz")), Just(json!(-1)), Just(json!([])), Just(json!({})),
    ]) {
        let paths = [
            "/version", "/crypto", "/crypto/kdf", "/crypto/kdf/function", "/crypto/kdf/params", "/crypto/kdf/params/n",
            "/crypto/kdf/params/salt", "/crypto/checksum/message", "/crypto/checksum/function", "/crypto/cipher/params/iv",
            "/crypto/cipher/message", "/crypto/cipher/function", "/crypto/cipher/params",
        ];
        let cheap = changed(&bls_scrypt(), "/crypto/kdf/params/n", json!(2));
        prop_assert!(open(&changed(&cheap, paths[which], value), &Password::new(BLS_PASSWORD)).is_err());
    }
}
