//! Keys by hand: `ditto-operator generate` and `ditto-operator keys`. No key and no password ever stands on a command line:
//! they come from files or are typed in, and only `export` shows one.

mod files;
mod generate;
mod register;
mod registration;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ditto_core::keystore::{Cost, KeyKind, PasswordSource};

pub use generate::{GenerateOptions, generate};
pub use register::{ControllerOptions, SetSignerOptions, register, set_signer};

use crate::config::OperatorConfig;
use crate::node::Keys;

/// What to do with a key.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Puts an existing key into a keystore: asks for it, or reads it from a file.
    Import(files::ImportOptions),
    /// Prints the private key of a keystore, or writes it to a file. Whoever has it can act for you.
    Export(files::ExportOptions),
    /// Changes a keystore's password.
    Password(files::PasswordOptions),
    /// Says what a keystore holds, without its password.
    Show {
        /// The keystores.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Prints the call by which the controller registers this operator at OBLS, with its proof of possession.
    Registration(registration::RegistrationOptions),
}

/// Which curve.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// secp256k1: controller, signer.
    Ecdsa,
    /// BLS12-381: consensus.
    Bls,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Ecdsa => Self::Ecdsa,
            Kind::Bls => Self::Bls,
        }
    }
}

/// Where passwords come from, and how dear guessing them is made.
#[derive(Args)]
pub struct PasswordFlags {
    /// A file that holds the password, mode 600. Otherwise systemd's credential `keystore-password` is taken, or you are
    /// asked.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// How dear guessing is made.
#[derive(Args)]
pub struct CostFlag {
    /// Encrypts with less work and memory (scrypt with N = 2^12 instead of 2^18), for machines with little of it. A
    /// guessed password is tried a few dozen times faster.
    #[arg(long)]
    pub light: bool,
}

impl PasswordFlags {
    fn source(&self) -> PasswordSource {
        PasswordSource { file: self.password_file.clone(), named: "`--password-file FILE`".into() }
    }
}

impl CostFlag {
    fn cost(&self) -> Cost {
        if self.light { Cost::Light } else { Cost::Standard }
    }
}

/// Does it. `load` gives the configuration, for what needs one.
///
/// # Errors
/// What is missing or wrong; never a key or a password.
pub fn act(command: Option<KeysCommand>, load: impl FnOnce() -> anyhow::Result<OperatorConfig>) -> anyhow::Result<()> {
    match command {
        Some(KeysCommand::Import(options)) => files::import(&options),
        Some(KeysCommand::Export(options)) => files::export(&options),
        Some(KeysCommand::Password(options)) => files::password(&options),
        Some(KeysCommand::Show { files }) => files::show(&files),
        Some(KeysCommand::Registration(options)) => registration::print(&options, &load()?),
        None => {
            let keys = Keys::load(&load()?)?;
            println!("consensus key  {}", alloy::hex::encode_prefixed(keys.consensus.public().to_bytes()));
            println!("signer         {}", keys.signer.address());
            Ok(())
        }
    }
}
