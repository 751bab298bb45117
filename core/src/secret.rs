//! Secrets: 32-byte keys that come from keystores, files or the environment, and go nowhere.
//!
//! A configuration never holds a secret, it says where one is ([`SecretSource`]); flags cannot carry one, since process
//! arguments are public. What is read is wiped from memory when dropped, and prints as `[redacted]`. Errors name the
//! field, the place and the fix, never the content.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keystore::{self, KeyKind, KeystoreError, PasswordError, PasswordSource};

/// A secret file is a line of text; anything longer is the wrong file.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a secret is found. When both are given, the environment variable, if it is set, goes before the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretSource {
    /// Name of the environment variable that holds it, for example `OPERATOR_PRIVATE_KEY`.
    pub env: Option<String>,
    /// Path of the file that holds it, readable by its owner only: a keystore (Web3 Secret Storage or EIP-2335), or the bare
    /// key in hexadecimal.
    pub file: Option<PathBuf>,
    /// Path of the file that holds the keystore's password. Without it the service manager's credential
    /// `keystore-password` is taken, and where there is none, whoever sits at the terminal is asked.
    pub password_file: Option<PathBuf>,
    /// Accept a file that others than its owner may read. Files that systemd passed as credentials are accepted anyway.
    pub allow_exposed_file: bool,
}

/// How a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In a keystore, which a password opens.
    Keystore,
    /// In a file, as it is.
    Bare,
    /// In an environment variable.
    Environment,
}

/// A 32-byte secret.
pub struct Secret(Zeroizing<[u8; 32]>);

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The configuration names no place.
    #[error(
        "`{field}` is not set: give `{field}.file` (a path) or `{field}.env` (the name of an environment variable)"
    )]
    NoSource {
        /// The configuration field.
        field: String,
    },
    /// The variable is not set and there is no file to fall back to.
    #[error("`{field}`: environment variable {env} is not set: set it, or give `{field}.file`")]
    VariableMissing {
        /// The configuration field.
        field: String,
        /// The variable's name.
        env: String,
    },
    /// The file cannot be read.
    #[error("`{field}`: cannot read {}: {cause}", path.display())]
    File {
        /// The configuration field.
        field: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: std::io::Error,
    },
    /// The file may be read by others.
    #[error(
        "`{field}`: {} may be read by others (mode {mode:03o}): run `chmod 600 {}`, or set `{field}.allow_exposed_file`",
        path.display(), path.display()
    )]
    Exposed {
        /// The configuration field.
        field: String,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is far too long.
    #[error("`{field}`: {place} is longer than {MAX_BYTES} bytes, so it is not a secret of this kind")]
    TooLong {
        /// The configuration field.
        field: String,
        /// The variable or file.
        place: String,
    },
    /// Not UTF-8.
    #[error("`{field}`: {place} does not hold text")]
    NotText {
        /// The configuration field.
        field: String,
        /// The variable or file.
        place: String,
    },
    /// The keystore does not open.
    #[error("`{field}`: {place}: {cause}")]
    Keystore {
        /// The configuration field.
        field: String,
        /// The file.
        place: String,
        /// Why not.
        #[source]
        cause: KeystoreError,
    },
    /// There is no password for the keystore.
    #[error("`{field}`: {cause}")]
    Password {
        /// The configuration field.
        field: String,
        /// Why not.
        #[source]
        cause: Box<PasswordError>,
    },
    /// A key for something else.
    #[error(
        "`{field}`: {place} holds a key of kind {found}, and one of kind {expected} is needed: are two files exchanged?"
    )]
    OtherKind {
        /// The configuration field.
        field: String,
        /// The file.
        place: String,
        /// What the keystore holds.
        found: KeyKind,
        /// What is needed.
        expected: KeyKind,
    },
    /// Not a key of the curve.
    #[error("`{field}`: {place}: {cause}")]
    Curve {
        /// The configuration field.
        field: String,
        /// The variable or file.
        place: String,
        /// What is wrong with it.
        #[source]
        cause: KeystoreError,
    },
    /// Not 32 bytes of hexadecimal.
    #[error(
        "`{field}`: {place} must hold a keystore, or 64 hexadecimal digits (32 bytes), with or without 0x; it {found}"
    )]
    NotAKey {
        /// The configuration field.
        field: String,
        /// The variable or file.
        place: String,
        /// What is wrong, without the content.
        found: &'static str,
    },
}

impl SecretSource {
    /// A secret in an environment variable.
    #[must_use]
    pub fn env(name: impl Into<String>) -> Self {
        Self { env: Some(name.into()), ..Self::default() }
    }

    /// A secret in a file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), ..Self::default() }
    }

    /// Is there any place to look?
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.env.is_some() || self.file.is_some()
    }

    /// Reads a 32-byte key: a keystore, or hexadecimal. `field` is the configuration key, for errors.
    ///
    /// # Errors
    /// Names the field, the place and the fix.
    pub fn load(&self, field: &str) -> Result<Secret, SecretError> {
        self.open(field).map(|(_place, _kind, secret)| secret)
    }

    /// Reads a key of this kind, and makes sure that it is one.
    ///
    /// # Errors
    /// As [`Self::load`], or when it is a key of another kind.
    pub fn load_key(&self, field: &str, expected: KeyKind) -> Result<Secret, SecretError> {
        let (place, kind, secret) = self.open(field)?;
        let field = || field.to_owned();
        if let Some(found) = kind.filter(|found| *found != expected) {
            return Err(SecretError::OtherKind { field: field(), place, found, expected });
        }
        match keystore::public_of(expected, &secret) {
            Ok(_) => Ok(secret),
            Err(cause) => Err(SecretError::Curve { field: field(), place, cause }),
        }
    }

    /// Where it was, which kind a keystore says it is, and the secret.
    fn open(&self, field: &str) -> Result<(String, Option<KeyKind>, Secret), SecretError> {
        let (place, text) = self.read(field)?;
        if !keystore::is_keystore(&text) {
            return bare(field, &place, &text).map(|secret| (place, None, secret));
        }
        let source = PasswordSource { file: self.password_file.clone(), named: format!("`{field}.password_file`") };
        let password = source
            .existing(&place)
            .map_err(|cause| SecretError::Password { field: field.to_owned(), cause: Box::new(cause) })?;
        match keystore::open(&text, &password) {
            Ok((kind, secret)) => Ok((place, Some(kind), secret)),
            Err(cause) => Err(SecretError::Keystore { field: field.to_owned(), place, cause }),
        }
    }

    /// How it is kept; nothing when it cannot be looked at.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        if self.env.as_ref().is_some_and(|name| std::env::var_os(name).is_some()) {
            return Some(Kept::Environment);
        }
        let text = self.read_file(String::new, self.file.as_ref()?).ok()?;
        Some(if keystore::is_keystore(&text) { Kept::Keystore } else { Kept::Bare })
    }

    /// Reads a secret of any form, such as a password, without surrounding white space.
    ///
    /// # Errors
    /// Names the field, the place and the fix.
    pub fn load_text(&self, field: &str) -> Result<Zeroizing<String>, SecretError> {
        self.read(field).map(|(_place, text)| text)
    }

    fn read(&self, field: &str) -> Result<(String, Zeroizing<String>), SecretError> {
        let field = || field.to_owned();
        if let Some(value) = self.env.as_ref().and_then(std::env::var_os) {
            let place = format!("environment variable {}", self.env.as_deref().unwrap_or_default());
            let field = field();
            tracing::warn!(
                "`{field}` comes from {place}: every process started from there has it, too. A keystore is safer; \
                 `ditto-operator keys import` makes one"
            );
            let text = match value.into_string() {
                Ok(text) => Zeroizing::new(text),
                Err(_content) => return Err(SecretError::NotText { field, place }),
            };
            return Ok((place, trimmed(&text)));
        }
        match (&self.file, &self.env) {
            (Some(path), _) => {
                let place = path.display().to_string();
                let text = self.read_file(field, path)?;
                Ok((place, trimmed(&text)))
            }
            (None, Some(env)) => Err(SecretError::VariableMissing { field: field(), env: env.clone() }),
            (None, None) => Err(SecretError::NoSource { field: field() }),
        }
    }

    fn read_file(&self, field: impl Fn() -> String, path: &Path) -> Result<Zeroizing<String>, SecretError> {
        let failed = |cause| SecretError::File { field: field(), path: path.to_owned(), cause };
        let file = File::open(path).map_err(failed)?;
        // Asked of the opened file, so that it cannot be exchanged in between.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 && !self.allow_exposed_file && !is_credential(path) {
            return Err(SecretError::Exposed { field: field(), path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let place = path.display().to_string();
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SecretError::TooLong { field: field(), place });
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(SecretError::NotText { field: field(), place }),
        }
    }
}

/// A bare key in hexadecimal.
fn bare(field: &str, place: &str, text: &str) -> Result<Secret, SecretError> {
    let not_a_key = |found| SecretError::NotAKey { field: field.to_owned(), place: place.to_owned(), found };
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match digits.len() {
        0 => return Err(not_a_key("is empty")),
        1..64 => return Err(not_a_key("is shorter")),
        64 => {}
        _ => return Err(not_a_key("is longer")),
    }
    let mut key = Zeroizing::new([0; 32]);
    // The decoder's error quotes the content.
    alloy::hex::decode_to_slice(digits, key.as_mut_slice()).map_err(|_quoting| not_a_key("holds something else"))?;
    Ok(Secret(key))
}

/// systemd shows a service its credentials with a group bit (an access control list's mask), in a directory that
/// nobody else can enter.
fn is_credential(path: &Path) -> bool {
    std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|dir| !dir.is_empty() && path.starts_with(dir))
}

fn trimmed(text: &Zeroizing<String>) -> Zeroizing<String> {
    Zeroizing::new(text.trim().to_owned())
}

impl Secret {
    /// Takes over bytes that were made in this process, such as a generated key.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the signer that is made of them. Copies are the caller's to wipe.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    const KEY: &str = "00000000000000000000000000000000000000000000000000000000deadbeef";

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, SecretSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let source = SecretSource::file(path);
        (dir, source)
    }

    #[test]
    fn a_key_is_read_with_and_without_0x_and_newline() {
        for content in [KEY.to_owned(), format!("0x{KEY}\n"), format!("  {KEY}\r\n")] {
            let (_dir, source) = file(&content, 0o600);
            assert_eq!(source.load("keys.consensus").unwrap().expose()[28..], [0xde, 0xad, 0xbe, 0xef]);
        }
    }

    #[test]
    fn it_prints_as_redacted() {
        let (_dir, source) = file(KEY, 0o400);
        let secret = source.load("keys.consensus").unwrap();
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "[redacted] [redacted] [redacted]");
    }

    #[test]
    fn an_exposed_file_is_refused_with_the_fix_unless_allowed() {
        for mode in [0o644, 0o640, 0o604, 0o610] {
            let (_dir, mut source) = file(KEY, mode);
            let error = source.load("keys.consensus").unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains("`keys.consensus`"), "{error}");
            source.allow_exposed_file = true;
            source.load("keys.consensus").unwrap();
        }
    }

    #[test]
    fn errors_name_field_and_place_and_never_the_content() {
        for content in ["", "deadbeef", &KEY.replace('d', "Z"), &format!("{KEY}00"), "\u{fffd}ä", &"7".repeat(70_000)]
        {
            let (_dir, source) = file(content, 0o600);
            let error = source.load("keys.consensus").unwrap_err();
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(text.contains("keys.consensus") && text.contains("/key"), "{text}");
                assert!(content.len() < 8 || !text.contains(&content[..8]), "{text}");
            }
        }
    }

    #[test]
    fn a_keystore_is_opened_with_the_password_of_its_file() {
        use crate::keystore::{Cost, Password, generate, seal};
        let secret = generate(KeyKind::Bls).unwrap();
        let json = seal(KeyKind::Bls, &secret, &Password::new("correct horse"), Cost::Light).unwrap();
        let (dir, mut source) = file(&json, 0o600);
        let password = dir.path().join("password");
        fs::write(&password, "correct horse\n").unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        source.password_file = Some(password.clone());
        assert_eq!(source.load("keys.consensus").unwrap().expose(), secret.expose());
        source.load_key("keys.consensus", KeyKind::Bls).unwrap();
        let error = source.load_key("keys.signer", KeyKind::Ecdsa).unwrap_err().to_string();
        assert!(error.contains("`keys.signer`") && error.contains("BLS") && error.contains("exchanged"), "{error}");
        fs::write(&password, "wrong horse").unwrap();
        let error = source.load("keys.consensus").unwrap_err().to_string();
        assert!(error.contains("`keys.consensus`") && error.contains("password"), "{error}");
        assert!(!error.contains("horse"), "{error}");
        // As the units have it where no password was written down.
        fs::write(&password, "\n").unwrap();
        let error = source.load("keys.consensus").unwrap_err().to_string();
        assert!(error.contains("password") && error.contains("`keys.consensus.password_file`"), "{error}");
    }

    #[test]
    fn a_bare_key_of_another_curve_is_refused() {
        // Above the order of BLS12-381, below the one of secp256k1.
        let (_dir, source) = file(&format!("ee{}", "11".repeat(31)), 0o600);
        source.load_key("keys.signer", KeyKind::Ecdsa).unwrap();
        let error = source.load_key("keys.consensus", KeyKind::Bls).unwrap_err().to_string();
        assert!(error.contains("`keys.consensus`") && error.contains("order"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = SecretSource::default().load("keys.signer").unwrap_err().to_string();
        assert!(error.contains("`keys.signer.file`"), "{error}");
        let error = SecretSource::env("DITTO_TEST_SURELY_UNSET").load("keys.signer").unwrap_err().to_string();
        assert!(error.contains("DITTO_TEST_SURELY_UNSET") && error.contains("`keys.signer`"), "{error}");
        let error = SecretSource::file("/nonexistent/key").load("keys.signer").unwrap_err().to_string();
        assert!(error.contains("/nonexistent/key") && error.contains("`keys.signer`"), "{error}");
    }

    #[test]
    fn an_unset_variable_falls_back_to_the_file_and_a_bad_one_does_not() {
        let (_dir, mut source) = file(KEY, 0o600);
        source.env = Some("DITTO_TEST_SURELY_UNSET".into());
        source.load("keys.signer").unwrap();
        // PATH is set and is no key: falling back would hide that.
        source.env = Some("PATH".into());
        let error = source.load("keys.signer").unwrap_err().to_string();
        assert!(error.contains("environment variable PATH"), "{error}");
        assert!(!error.contains("/bin"), "{error}");
    }
}
