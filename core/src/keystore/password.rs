//! Passwords: from a file, from the service manager's credentials, or typed in. Never from the command line, which everybody
//! on the machine can read, and never from the environment, which every child inherits.

use std::fmt;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use icu_normalizer::DecomposingNormalizerBorrowed;
use zeroize::Zeroizing;

use crate::secret::{SecretError, SecretSource};

/// The credential that systemd hands to the service: `LoadCredential=keystore-password:…`.
pub const CREDENTIAL: &str = "keystore-password";
/// Shorter ones are found by guessing, whatever each guess costs.
const LEAST: usize = 8;

/// A password.
pub struct Password(Zeroizing<String>);

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Nobody to ask and nowhere to look, or an empty file.
    #[error(
        "the password of {for_what} is needed: name a file that holds it ({how}), pass it as systemd's credential \
         `{CREDENTIAL}`, or run this in a terminal and type it"
    )]
    Nowhere {
        /// Which key.
        for_what: String,
        /// How a file is named here.
        how: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] SecretError),
    /// The terminal cannot be read.
    #[error("the password cannot be read from the terminal: {0}")]
    Terminal(std::io::Error),
    /// Typed in twice, differently.
    #[error("the two passwords are not the same")]
    Differ,
    /// Too short for a new keystore.
    #[error("the password has {0} characters; choose {LEAST} at least")]
    Short(usize),
}

/// Where a password comes from.
#[derive(Clone, Debug, Default)]
pub struct PasswordSource {
    /// A file that holds it, readable by its owner only.
    pub file: Option<PathBuf>,
    /// How that file is named where this is set, for errors.
    pub named: String,
}

impl Password {
    /// A password that is known already.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As EIP-2335 wants it: compatibility decomposition (NFKD), without control codes (C0, C1, delete).
    pub(super) fn normalised(&self) -> Zeroizing<Vec<u8>> {
        let normal = Zeroizing::new(DecomposingNormalizerBorrowed::new_nfkd().normalize(&self.0).into_owned());
        let kept: Zeroizing<String> = Zeroizing::new(normal.chars().filter(|c| !c.is_control()).collect());
        Zeroizing::new(kept.as_bytes().to_vec())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PasswordSource {
    /// The password that opens `for_what`.
    ///
    /// # Errors
    /// When there is none.
    pub fn existing(&self, for_what: &str) -> Result<Password, PasswordError> {
        match self.file() {
            // The units hand over an empty credential where there is no password.
            Some(file) => match read(&file)? {
                password if password.0.is_empty() => Err(self.nowhere(for_what)),
                password => Ok(password),
            },
            None => self.ask(for_what, &format!("Password of {for_what}: ")),
        }
    }

    /// A password for what is to be made: typed in twice, and long enough.
    ///
    /// # Errors
    /// When there is none, or it will not do.
    pub fn chosen(&self, for_what: &str) -> Result<Password, PasswordError> {
        let password = match self.file() {
            Some(file) => read(&file)?,
            None => {
                let first = self.ask(for_what, &format!("New password for {for_what}: "))?;
                let second = self.ask(for_what, "Once more: ")?;
                if *first.0 != *second.0 {
                    return Err(PasswordError::Differ);
                }
                first
            }
        };
        match password.0.chars().count() {
            length if length < LEAST => Err(PasswordError::Short(length)),
            _ => Ok(password),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        self.file.clone().or_else(|| {
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|directory| !directory.is_empty())?;
            Some(Path::new(&directory).join(CREDENTIAL)).filter(|path| path.is_file())
        })
    }

    fn ask(&self, for_what: &str, prompt: &str) -> Result<Password, PasswordError> {
        if !std::io::stdin().is_terminal() {
            return Err(self.nowhere(for_what));
        }
        let typed = rpassword::prompt_password(prompt).map_err(PasswordError::Terminal)?;
        Ok(Password(Zeroizing::new(typed)))
    }

    fn nowhere(&self, for_what: &str) -> PasswordError {
        let how = if self.named.is_empty() { "`--password-file FILE`".to_owned() } else { self.named.clone() };
        PasswordError::Nowhere { for_what: for_what.to_owned(), how }
    }
}

fn read(file: &Path) -> Result<Password, PasswordError> {
    Ok(Password(SecretSource::file(file).load_text("password file")?))
}
