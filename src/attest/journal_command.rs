//! `ditto-operator journal …`: what an operator decides about the journal. None of it runs beside the operator itself.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Subcommand;
use ditto_core::clock::{SlotClock, SystemClock};

use super::{Journal, interchange};
use crate::config::OperatorConfig;
use crate::node::Keys;

/// What to do with the journal.
#[derive(Clone, Debug, Subcommand)]
pub enum JournalCommand {
    /// Makes the journal, for a consensus key that signs nowhere else. It signs from the next slots on.
    Init {
        /// Moves the journal that is there away first, because it is lost or not to be trusted.
        #[arg(long)]
        replace: bool,
    },
    /// Says whether the journal can be signed with.
    Check,
    /// Prints everything that was signed and is remembered, as JSON.
    Export {
        /// Writes to this file, which must not exist.
        #[arg(long)]
        to: Option<PathBuf>,
        /// The key moves to another server: this journal signs no more.
        #[arg(long)]
        retire: bool,
    },
    /// Brings an exported journal in. What both say binds; no mark is ever lowered.
    Import {
        /// The file; `-` for standard input.
        from: PathBuf,
    },
}

/// Does it.
///
/// # Errors
/// What stands against it, with the fix.
pub fn act(config: &OperatorConfig, what: &JournalCommand) -> anyhow::Result<()> {
    let key = Keys::load(config)?.consensus.public();
    let identity = Journal::identity(&config.network.name, config.network.target_chain, &key);
    let directory = &config.state_dir;
    let path = Journal::path(directory);
    let clock = SlotClock::new(config.network.schedule(), std::sync::Arc::new(SystemClock));
    let now = clock.current().unwrap_or_default();
    match what {
        JournalCommand::Init { replace: false } => {
            let floor = Journal::init(directory, &identity, now)?;
            println!("{} is made; it signs from slot {floor} on", path.display());
        }
        JournalCommand::Init { replace: true } => {
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let (floor, moved) = Journal::replace(directory, &identity, now, seconds)?;
            for old in moved {
                println!("moved away: {}", old.display());
            }
            println!("{} is made; it signs from slot {floor} on", path.display());
        }
        JournalCommand::Check => {
            drop(Journal::open(directory, &identity, &config.journal)?);
            println!("{} is good", path.display());
        }
        JournalCommand::Export { to, retire } => {
            let exported = interchange::export(directory, &identity, *retire)?;
            let text = serde_json::to_string_pretty(&exported).context("the journal does not write as JSON")? + "\n";
            match to {
                None => print!("{text}"),
                Some(to) => {
                    use std::io::Write;
                    let mut file =
                        std::fs::File::create_new(to).with_context(|| format!("cannot make {}", to.display()))?;
                    file.write_all(text.as_bytes())
                        .and_then(|()| file.sync_all())
                        .with_context(|| format!("cannot write {}", to.display()))?;
                    println!("{} verdicts and {} proposals", exported.verdicts.len(), exported.proposals.len());
                }
            }
        }
        JournalCommand::Import { from } => {
            let text = if from.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin())
            } else {
                std::fs::read_to_string(from)
            };
            let text = text.with_context(|| format!("cannot read {}", from.display()))?;
            let imported = interchange::import(directory, &identity, &interchange::parse(&text)?)?;
            println!(
                "{} verdicts and {} proposals brought in; slots before {} are not signed for",
                imported.verdicts, imported.proposals, imported.floor
            );
            if imported.sealed > 0 {
                println!(
                    "{} occurrences were approved differently in the two journals: nothing more is said of them",
                    imported.sealed
                );
            }
        }
    }
    Ok(())
}
