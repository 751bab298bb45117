//! Durable stores: what must survive a crash.
//!
//! A store is one redb file. It belongs to one network, one key and one purpose, and says so in itself
//! ([`StoreIdentity`]): an attester's journal that was copied from another network, or written by a newer release, is
//! refused, since reading it wrongly could mean signing twice. The attester's sign-once journal and the aggregator's
//! ledger are stores.
//!
//! Reading goes through [`Store::read`], at any time, and sees what was committed. Writing goes through a [`Writer`]:
//! one thread that gathers what many callers want to write into one transaction, syncs it to disk once, and only then
//! answers each of them. While a sync runs, the next group gathers; nobody waits for a timer.
//!
//! What a store promises:
//!
//! - An answer from the writer means that the change is on the disk.
//! - A change is written whole or not at all, and a change that fails takes no neighbour with it.
//! - A file that exists is never started over: an empty, truncated or damaged one is an error that names it.
//! - One process at a time.
//! - A *witnessed* store ([`Store::open_witnessed`]) that is gone, another one, or an older state of itself is noticed by the
//!   marks beside it ([`Distrust`]) and refused.

mod error;
mod file;
mod identity;
mod witness;
mod writer;

pub use error::StoreError;
pub use file::Store;
pub use identity::StoreIdentity;
/// The tables' types are redb's own: declare a table with `const T: TableDefinition<&[u8], &[u8]> = TableDefinition::new("t")`.
pub use redb::{
    self, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction,
};
pub use witness::{Distrust, Marks};
pub use writer::{Writer, WriterConfig, describe};
