//! From a password to a key (RFC 7914 scrypt, RFC 8018 PBKDF2), and the cipher (AES-128, counter mode).

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeystoreError, exactly, hex};

/// What both formats derive: half of it is the cipher's key, the other half goes into the check.
pub(super) const DERIVED: usize = 32;
/// The most memory that a file may make scrypt take, in bytes; scrypt takes 128 N r.
const MAX_MEMORY: u64 = 1 << 30;
/// The most work that a file may ask of scrypt, as N r p: eight times what geth's and EIP-2335's default asks.
const MAX_WORK: u64 = 8 * (1 << 18) * 8;
/// The most iterations that a file may ask of PBKDF2; EIP-2335's default is 262,144.
const MAX_ITERATIONS: u32 = 16 << 20;

/// How dear each guess at a password is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// scrypt with N = 2^18, r = 8, p = 1, as geth and EIP-2335 do: about a second and 256 MiB.
    #[default]
    Standard,
    /// scrypt with N = 2^12, r = 8, p = 6, as `geth --lightkdf`: for machines with little memory, and for tests.
    Light,
}

impl Cost {
    fn parameters(self) -> (u8, u32, u32) {
        match self {
            Self::Standard => (18, 8, 1),
            Self::Light => (12, 8, 6),
        }
    }

    /// The parameters as both formats write them, with this salt.
    pub(super) fn written(self, salt: &[u8; 32]) -> Value {
        let (log_n, r, p) = self.parameters();
        json!({ "dklen": DERIVED, "n": 1_u64 << log_n, "r": r, "p": p, "salt": alloy::hex::encode(salt) })
    }

    pub(super) fn derive(self, password: &[u8], salt: &[u8; 32]) -> Result<Zeroizing<[u8; DERIVED]>, KeystoreError> {
        let (log_n, r, p) = self.parameters();
        scrypt_key(password, salt, log_n, r, p)
    }
}

/// Derives with a file's function and parameters.
pub(super) fn derive(
    function: &str,
    parameters: &Map<String, Value>,
    password: &[u8],
) -> Result<Zeroizing<[u8; DERIVED]>, KeystoreError> {
    let number = |name: &str| {
        let found = parameters.get(name).and_then(Value::as_u64);
        found.ok_or_else(|| KeystoreError::Malformed(format!("its `{name}` is missing, or no whole number")))
    };
    let text = |name: &str| {
        let found = parameters.get(name).and_then(Value::as_str);
        found.ok_or_else(|| KeystoreError::Malformed(format!("its `{name}` is missing")))
    };
    let unsupported = |why: &str| Err(KeystoreError::Unsupported(why.to_owned()));
    if number("dklen")? != DERIVED as u64 {
        return unsupported("`dklen` is not 32");
    }
    let salt = hex(text("salt")?, "salt")?;
    match function {
        "scrypt" => {
            let (n, r, p) = (number("n")?, number("r")?, number("p")?);
            if !n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
                return unsupported("scrypt parameters are none");
            }
            let memory = n.checked_mul(r).and_then(|product| product.checked_mul(128));
            let work = n.checked_mul(r).and_then(|product| product.checked_mul(p));
            if memory.is_none_or(|memory| memory > MAX_MEMORY) || work.is_none_or(|work| work > MAX_WORK) {
                return unsupported("scrypt parameters would take more memory or time than any honest keystore");
            }
            let too_large = || KeystoreError::Unsupported("scrypt parameters are none".into());
            let r = u32::try_from(r).map_err(|_| too_large())?;
            let p = u32::try_from(p).map_err(|_| too_large())?;
            // A power of two below 2^64 has a logarithm below 64.
            scrypt_key(password, &salt, n.trailing_zeros().try_into().map_err(|_| too_large())?, r, p)
        }
        "pbkdf2" => {
            if text("prf")? != "hmac-sha256" {
                return unsupported("`prf` is not hmac-sha256");
            }
            let iterations = u32::try_from(number("c")?).ok().filter(|count| (1..=MAX_ITERATIONS).contains(count));
            let Some(iterations) = iterations else {
                return unsupported("PBKDF2 iterations are none, or more than any honest keystore has");
            };
            let mut key = Zeroizing::new([0; DERIVED]);
            pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, iterations, key.as_mut_slice());
            Ok(key)
        }
        other => Err(KeystoreError::Unsupported(format!("key derivation is {other:?}; scrypt and pbkdf2 are known"))),
    }
}

fn scrypt_key(
    password: &[u8],
    salt: &[u8],
    log_n: u8,
    r: u32,
    p: u32,
) -> Result<Zeroizing<[u8; DERIVED]>, KeystoreError> {
    let wrong = |_| KeystoreError::Unsupported("scrypt parameters are none".into());
    let parameters = scrypt::Params::new(log_n, r, p).map_err(wrong)?;
    let mut key = Zeroizing::new([0; DERIVED]);
    scrypt::scrypt(password, salt, &parameters, key.as_mut_slice())
        .map_err(|_| KeystoreError::Unsupported("key derivation failed".into()))?;
    Ok(key)
}

/// Encrypts, or decrypts: counter mode is its own inverse.
pub(super) fn cipher(derived: &[u8; DERIVED], iv: &[u8], text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let iv: [u8; 16] = exactly(iv, "`iv`")?;
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    let mut done = Zeroizing::new(text.to_vec());
    Ctr128BE::<Aes128>::new((&*key).into(), (&iv).into()).apply_keystream(&mut done);
    Ok(done)
}

/// Compares without telling by its time how much is alike.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
