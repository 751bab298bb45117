//! Points that strangers register: through blst, which is C and assembly.
use ditto_core::bls::{PublicKey, SecretKey};

pub fn examples() -> Vec<Vec<u8>> {
    let key = |n| SecretKey::derive(&[n; 32]).map(|secret| secret.public());
    let keys: Vec<PublicKey> = (1..4).filter_map(|n| key(n).ok()).collect();
    let mut seeds: Vec<Vec<u8>> = keys.iter().map(|key| key.to_bytes().to_vec()).collect();
    seeds.extend(keys.iter().map(|key| key.to_eip2537().to_vec()));
    let mut infinity = vec![0; 96];
    infinity[0] = 0xc0;
    seeds.push(infinity);
    seeds
}

pub fn run(data: &[u8]) {
    let key = if data.len() == 256 { PublicKey::from_eip2537(data) } else { PublicKey::from_bytes(data) };
    let Ok(key) = key else { return };
    match data.len() {
        96 => assert_eq!(key.to_bytes(), data, "one key, one encoding"),
        256 => assert_eq!(key.to_eip2537(), data, "one key, one encoding"),
        _ => {}
    }
    assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Ok(key));
    assert_eq!(PublicKey::from_eip2537(&key.to_eip2537()), Ok(key));
    if let Some(secret) = data.first_chunk::<32>() {
        // Any number is a secret key or refused.
        let _ = SecretKey::from_bytes(secret);
    }
}
