//! Keystores one by one.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use alloy::hex;
use anyhow::{Context, bail};
use clap::Args;
use ditto_core::keystore::{self, MAX_BYTES, PasswordSource, public_of, replace, seal, write_new};
use ditto_core::secret::{Secret, SecretSource};
use zeroize::Zeroizing;

use super::{CostFlag, Kind, PasswordFlags};

/// What to import.
#[derive(Args)]
pub struct ImportOptions {
    /// Where the keystore goes.
    pub file: PathBuf,
    /// Which curve the key is for.
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// The file with the key: 64 hexadecimal digits, mode 600. Otherwise you are asked for it.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordFlags,
    #[command(flatten)]
    cost: CostFlag,
}

/// What to export.
#[derive(Args)]
pub struct ExportOptions {
    /// The keystore.
    pub file: PathBuf,
    /// Writes the key to this file, mode 600, instead of showing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordFlags,
}

/// Whose password to change.
#[derive(Args)]
pub struct PasswordOptions {
    /// The keystore.
    pub file: PathBuf,
    #[command(flatten)]
    password: PasswordFlags,
    /// A file that holds the new password. Otherwise you are asked.
    #[arg(long, value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    #[command(flatten)]
    cost: CostFlag,
}

pub(super) fn import(options: &ImportOptions) -> anyhow::Result<()> {
    if options.file.exists() {
        bail!("{} is there already and is not written over", options.file.display());
    }
    let kind = options.kind.into();
    let secret = match &options.from {
        Some(from) => SecretSource::file(from).load_key("--from", kind)?,
        None => typed()?,
    };
    let public = public_of(kind, &secret)?;
    let password = options.password.source().chosen(&options.file.display().to_string())?;
    let json = seal(kind, &secret, &password, options.cost.cost())?;
    write_new(&options.file, json.as_bytes())?;
    println!("{kind} key {public}\nis in {}", options.file.display());
    if let Some(from) = &options.from {
        println!("The unencrypted key is still in {}: remove it when you have tried the keystore.", from.display());
    }
    Ok(())
}

fn typed() -> anyhow::Result<Secret> {
    if !std::io::stdin().is_terminal() {
        bail!("name the file that holds the key with `--from FILE`, or run this in a terminal and type it");
    }
    let typed = Zeroizing::new(rpassword::prompt_password("Private key (64 hexadecimal digits, not shown): ")?);
    let digits = typed.trim();
    let mut bytes = Zeroizing::new([0; 32]);
    // The decoder's error quotes what was typed.
    if hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), bytes.as_mut_slice()).is_err() {
        bail!("that is not 64 hexadecimal digits");
    }
    Ok(Secret::new(*bytes))
}

pub(super) fn export(options: &ExportOptions) -> anyhow::Result<()> {
    let json = read(&options.file)?;
    let password = options.password.source().existing(&options.file.display().to_string())?;
    let (kind, secret) = keystore::open(&json, &password).with_context(|| options.file.display().to_string())?;
    let text = Zeroizing::new(hex::encode(secret.expose()));
    match &options.out {
        Some(out) => {
            write_new(out, text.as_bytes())?;
            println!("the {kind} key of {} is in {}, unencrypted", public_of(kind, &secret)?, out.display());
        }
        None => {
            eprintln!("The private key of {}: whoever sees it can act for you.", public_of(kind, &secret)?);
            println!("{}", *text);
        }
    }
    Ok(())
}

pub(super) fn password(options: &PasswordOptions) -> anyhow::Result<()> {
    let shown = options.file.display().to_string();
    let json = read(&options.file)?;
    let old = options.password.source().existing(&shown)?;
    let (kind, secret) = keystore::open(&json, &old).with_context(|| shown.clone())?;
    let new = PasswordSource { file: options.new_password_file.clone(), named: "`--new-password-file FILE`".into() };
    let sealed = seal(kind, &secret, &new.chosen(&shown)?, options.cost.cost())?;
    // What is written is what will be opened: better to hear of it now.
    keystore::describe(&sealed)?;
    replace(&options.file, sealed.as_bytes())?;
    println!("{shown} has a new password");
    Ok(())
}

pub(super) fn show(files: &[PathBuf]) -> anyhow::Result<()> {
    for file in files {
        let described = keystore::describe(&read(file)?).with_context(|| file.display().to_string())?;
        let public = described.public.as_deref().unwrap_or("the file does not say which");
        println!("{}\n  {} key {public}", file.display(), described.kind);
        let mode = std::fs::metadata(file)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            println!("  others may read it (mode {mode:03o}): chmod 600 {}", file.display());
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut text = String::new();
    let limit = MAX_BYTES as u64 + 1;
    file.take(limit).read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
