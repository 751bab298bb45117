//! The journal as JSON: to move an operator to another server.
//!
//! The ideas are EIP-3076's: everything that was signed and is still remembered, the floor below which nothing is, and whose
//! it is. Importing never lowers a mark and never forgets: what both journals say binds from then on. A journal that was
//! exported to be moved is *retired*, so that the key does not sign in two places.

use std::path::Path;

use alloy::primitives::B256;
use ditto_core::clock::Slot;
use ditto_core::store::{ReadableTable, Store, StoreError, StoreIdentity, redb};
use ditto_core::task::Occurrence;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::journal::{FLOOR, HIGH, Journal, JournalError, MARKS, PROPOSALS, RETIRED, Record, VERDICTS, key, raise};

const KIND: &str = "ditto sign-once journal";
const VERSION: u32 = 1;

/// A journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interchange {
    /// Whose it is, and of which format.
    pub metadata: Metadata,
    /// The first slot that is remembered; nothing is signed for earlier ones.
    #[serde(with = "decimal")]
    pub floor: Slot,
    /// The last slot that was signed for.
    #[serde(with = "decimal")]
    pub high: Slot,
    /// One per slot that was proposed in.
    pub proposals: Vec<SignedProposal>,
    /// One per attempted occurrence.
    pub verdicts: Vec<SignedVerdicts>,
}

/// Whose journal, in which format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// What this is.
    pub format: String,
    /// The format's version.
    pub version: u32,
    /// The network.
    pub network: String,
    /// The consensus key, compressed, as hexadecimal digits.
    pub consensus_key: String,
}

/// A proposal that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedProposal {
    /// Its slot.
    #[serde(with = "decimal")]
    pub slot: Slot,
    /// Its EIP-712 digest.
    pub digest: B256,
}

/// What was said of an occurrence in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedVerdicts {
    /// The slot it was attempted in.
    #[serde(with = "decimal")]
    pub slot: Slot,
    /// The workflow.
    #[serde(with = "decimal")]
    pub workflow: u64,
    /// The slot it was due in.
    #[serde(with = "decimal")]
    pub due: Slot,
    /// The operation that was approved, by its userOpHash; all ones when nothing may be said any more.
    pub approved: Option<B256>,
    /// The operations that were rejected.
    pub rejected: Vec<B256>,
}

/// 64-bit numbers as text: JSON readers in other languages round them.
mod decimal {
    use super::*;

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_cause| serde::de::Error::custom(format!("{text:?} is not a number of 64 bits")))
    }
}

/// Why a journal is not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum InterchangeError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is no such file.
    #[error("this is no exported journal: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another format.
    #[error("this is a {format:?} of version {version}, and not a {KIND:?} of version {VERSION}")]
    Format {
        /// What it says it is.
        format: String,
        /// Its version.
        version: u32,
    },
    /// Another network's or key's.
    #[error(
        "this is the journal of key {found_key} on network {found_network}, and this operator has key {key} on network {network}"
    )]
    Foreign {
        /// Whose it is.
        found_key: String,
        /// Of which network.
        found_network: String,
        /// Whose it should be.
        key: String,
        /// Of which network.
        network: String,
    },
}

/// What an import brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Occurrences with verdicts.
    pub verdicts: usize,
    /// Proposals.
    pub proposals: usize,
    /// Occurrences on which the two journals contradict each other, so that nothing is said of them any more.
    pub sealed: usize,
    /// The first slot that is signed for, if nothing was said of it.
    pub floor: Slot,
}

/// Everything that the journal remembers. With `retire` it signs no more from then on.
///
/// # Errors
/// When there is no journal that could be trusted, or the operator is running.
pub fn export(state_dir: &Path, identity: &StoreIdentity, retire: bool) -> Result<Interchange, InterchangeError> {
    let store = Journal::store_of(state_dir, identity)?;
    if retire {
        store.write(|tx| raise(tx, RETIRED, 1))?;
    }
    Ok(read(&store, identity)?)
}

fn read(store: &Store, identity: &StoreIdentity) -> Result<Interchange, StoreError> {
    let mark = |name| store.get(MARKS, name, |mark| mark).map(Option::unwrap_or_default);
    let missing = |error: &redb::TableError| matches!(error, redb::TableError::TableDoesNotExist(_));
    let proposals = store.read(|tx| match tx.open_table(PROPOSALS) {
        Ok(table) => table
            .iter()?
            .map(|line| line.map(|(slot, digest)| SignedProposal { slot: slot.value(), digest: digest.value().into() }))
            .map(|line| line.map_err(Into::into))
            .collect::<Result<Vec<_>, redb::Error>>(),
        Err(error) if missing(&error) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    })?;
    let verdicts = store.read(|tx| match tx.open_table(VERDICTS) {
        Ok(table) => table
            .iter()?
            .map(|line| line.map(|(key, record)| signed(key.value(), &Record::read(record.value()))))
            .map(|line| line.map_err(Into::into))
            .collect::<Result<Vec<_>, redb::Error>>(),
        Err(error) if missing(&error) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    })?;
    Ok(Interchange {
        metadata: Metadata {
            format: KIND.to_owned(),
            version: VERSION,
            network: identity.network.clone(),
            consensus_key: identity.key.clone(),
        },
        floor: mark(FLOOR)?,
        high: mark(HIGH)?,
        proposals,
        verdicts,
    })
}

/// Reads an exported journal.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<Interchange, InterchangeError> {
    let read: Interchange = serde_json::from_str(text)?;
    let Metadata { format, version, .. } = &read.metadata;
    if format != KIND || *version != VERSION {
        return Err(InterchangeError::Format { format: format.clone(), version: *version });
    }
    Ok(read)
}

/// Brings an exported journal into this one, which is made when there is none. A retired one signs again.
///
/// # Errors
/// When it is another network's or key's, or the journal that is there cannot be trusted.
pub fn import(state_dir: &Path, identity: &StoreIdentity, from: &Interchange) -> Result<Imported, InterchangeError> {
    let Metadata { network, consensus_key, .. } = &from.metadata;
    if (network, consensus_key) != (&identity.network, &identity.key) {
        return Err(InterchangeError::Foreign {
            found_key: consensus_key.clone(),
            found_network: network.clone(),
            key: identity.key.clone(),
            network: identity.network.clone(),
        });
    }
    let store = match Journal::store_of(state_dir, identity) {
        Err(JournalError::Absent { path }) => Store::create_witnessed(path, identity, |_| Ok(()))?,
        opened => opened?,
    };
    Ok(store.write(|tx| {
        raise(tx, FLOOR, from.floor)?;
        raise(tx, HIGH, from.high)?;
        tx.open_table(MARKS)?.remove(RETIRED)?;
        let floor = tx.open_table(MARKS)?.get(FLOOR)?.map_or(0, |floor| floor.value());
        let mut imported = Imported { floor, ..Imported::default() };
        let mut proposals = tx.open_table(PROPOSALS)?;
        for SignedProposal { slot, digest } in from.proposals.iter().filter(|one| one.slot >= floor) {
            // The first one stands: whichever is kept, the other is never signed here.
            if proposals.get(slot)?.is_none() {
                proposals.insert(slot, &digest.0)?;
            }
            imported.proposals += 1;
        }
        let mut verdicts = tx.open_table(VERDICTS)?;
        for said in from.verdicts.iter().filter(|said| said.slot >= floor) {
            let key = key(Occurrence { workflow: said.workflow, slot: said.due }, said.slot);
            let mut record = verdicts.get(&key)?.map(|known| Record::read(known.value())).unwrap_or_default();
            let sealed = record.is_sealed();
            record.merge(&Record { approved: said.approved.unwrap_or_default(), rejected: said.rejected.clone() });
            imported.sealed += usize::from(record.is_sealed() && !sealed);
            imported.verdicts += 1;
            verdicts.insert(&key, record.bytes().as_slice())?;
        }
        Ok(imported)
    })?)
}

fn signed(key: &[u8; 24], record: &Record) -> SignedVerdicts {
    let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| key[at * 8 + byte]));
    SignedVerdicts {
        slot: word(0),
        workflow: word(1),
        due: word(2),
        approved: (!record.approved.is_zero()).then_some(record.approved),
        rejected: record.rejected.clone(),
    }
}
