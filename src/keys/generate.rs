//! `ditto-operator generate`: all the keys that an operator needs, and what to do with them.

use std::path::PathBuf;

use alloy::hex;
use anstream::println;
use anyhow::{Context, bail};
use clap::Args;
use ditto_core::keystore::{self, KeyKind, PasswordError, public_of, seal, write_new};
use serde_json::json;

use super::{CostFlag, PasswordFlags};
use crate::terminal::{BOLD, DIM, GOOD, WARNING};

/// What to make.
#[derive(Args)]
pub struct GenerateOptions {
    /// The directory for the three keystores; made if it is not there.
    #[arg(long, default_value = "keys", value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    password: PasswordFlags,
    #[command(flatten)]
    cost: CostFlag,
    /// Prints the private keys, unencrypted, instead of writing keystores: for trying things out, and for containers that
    /// keep no file.
    #[arg(long, conflicts_with_all = ["out", "password_file", "light"])]
    pub show_private_keys: bool,
    /// Prints as JSON.
    #[arg(long)]
    pub json: bool,
}

/// An operator's keys: what they are called, their kind, and what they are for.
const KEYS: [(&str, KeyKind, &str); 3] = [
    ("controller", KeyKind::Ecdsa, "registers the operator and owns its stake; stays off the server"),
    ("signer", KeyKind::Ecdsa, "signs proposals and routine transactions; needs a little ether"),
    ("consensus", KeyKind::Bls, "signs votes; moves no funds"),
];

/// Makes the keys.
///
/// # Errors
/// When one of them is there already, or cannot be written.
pub fn generate(options: &GenerateOptions) -> anyhow::Result<()> {
    let mut made = Vec::with_capacity(KEYS.len());
    for (name, kind, purpose) in KEYS {
        let secret = keystore::generate(kind).context("the system gives no randomness")?;
        let public = public_of(kind, &secret)?;
        made.push((name, kind, purpose, secret, public));
    }
    if options.show_private_keys {
        if options.json {
            let told = made.iter().map(|(name, _, _, secret, public)| {
                (*name, json!({ "public": public, "private_key": hex::encode(secret.expose()) }))
            });
            println!("{}", serde_json::to_string_pretty(&told.collect::<std::collections::BTreeMap<_, _>>())?);
            return Ok(());
        }
        eprintln!("These are private keys: whoever sees them can act for you. Keystores are safer.");
        for (name, _, _, secret, public) in &made {
            println!("{name:<11} {public}\n{:<11} {}", "", hex::encode(secret.expose()));
        }
        return Ok(());
    }

    // Nobody types a password only to hear that there is no room for the files.
    let path = |name: &str| options.out.join(format!("{name}.json"));
    if let Some(there) = KEYS.iter().map(|(name, ..)| path(name)).find(|path| path.exists()) {
        bail!("{} is there already and is not written over; choose another directory with `--out`", there.display());
    }
    let password = match options.password.source().chosen("the new keys") {
        Ok(password) => password,
        Err(error @ PasswordError::Nowhere { .. }) => {
            bail!("{error}. `--show-private-keys` prints unencrypted keys instead")
        }
        Err(error) => return Err(error.into()),
    };
    for (name, kind, _, secret, _) in &made {
        let json = seal(*kind, secret, &password, options.cost.cost())?;
        write_new(&path(name), json.as_bytes())?;
    }
    if options.json {
        let told = made.iter().map(|(name, _, _, _, public)| (*name, json!({ "public": public, "file": path(name) })));
        println!("{}", serde_json::to_string_pretty(&told.collect::<std::collections::BTreeMap<_, _>>())?);
        return Ok(());
    }
    println!("{GOOD}made three keys{GOOD:#}, each in a keystore that your password opens");
    for (name, _, purpose, _, public) in &made {
        println!("  {BOLD}{name:<11}{BOLD:#} {}  {DIM}{purpose}{DIM:#}", path(name).display());
        println!("  {:<11} {public}", "");
    }
    // Wherever the configuration is read from, the paths are to be found.
    let shown = |name: &str| std::path::absolute(path(name)).unwrap_or_else(|_| path(name)).display().to_string();
    println!("\nNext:");
    println!("  1. Back the files up, and the password in another place. Nobody can restore either for you.");
    println!("  2. {WARNING}Move {} off this machine{WARNING:#}: registering is all it does.", shown("controller"));
    println!("  3. Write the password to a file that its owner alone may read, and in operator.toml:");
    for name in ["consensus", "signer"] {
        println!("       [keys.{name}]\n       file = \"{}\"\n       password_file = \"…\"", shown(name));
    }
    println!("  4. Send about 0.01 ether on the target chain to the signer.");
    println!("  5. `ditto-operator register --keystore {}` shows the transaction that registers", shown("controller"));
    println!("     the operator; with `--send` it sends it. A Safe sends what `--controller ADDRESS` shows.");
    println!("  6. `ditto-operator doctor` says what is missing, then `ditto-operator run`.");
    Ok(())
}
