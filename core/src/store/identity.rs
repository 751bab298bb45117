//! Whose file this is.

use std::fmt;

use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

const IDENTITY: TableDefinition<'static, &str, &str> = TableDefinition::new("ditto_identity");

/// What a store belongs to; written into it when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity {
    /// The network, for example the governance contract and its chain: `eip155:1/0x…`.
    pub network: String,
    /// The public identifier of the key whose deeds are recorded.
    pub key: String,
    /// What is recorded: `sign-once journal`, `ledger`.
    pub kind: String,
    /// Version of the tables' layout, counted up when it changes.
    pub schema: u32,
}

impl StoreIdentity {
    /// Same owner and purpose, whatever the version?
    pub(super) fn same_owner(&self, other: &Self) -> bool {
        (&self.network, &self.key, &self.kind) == (&other.network, &other.key, &other.kind)
    }

    pub(super) fn write(&self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = tx.open_table(IDENTITY)?;
        table.insert("network", self.network.as_str())?;
        table.insert("key", self.key.as_str())?;
        table.insert("kind", self.kind.as_str())?;
        table.insert("schema", self.schema.to_string().as_str())?;
        Ok(())
    }

    /// `None`: a redb file, but not one of ours.
    pub(super) fn read(tx: &ReadTransaction) -> Result<Option<Self>, redb::Error> {
        let table = match tx.open_table(IDENTITY) {
            Ok(table) => table,
            Err(TableError::Storage(cause)) => return Err(cause.into()),
            Err(_missing_or_of_another_type) => return Ok(None),
        };
        let get = |name: &str| table.get(name).map(|value| value.map(|value| value.value().to_owned()));
        let (network, key, kind) = (get("network")?, get("key")?, get("kind")?);
        let schema = get("schema")?.and_then(|schema| schema.parse().ok());
        Ok(match (network, key, kind, schema) {
            (Some(network), Some(key), Some(kind), Some(schema)) => Some(Self { network, key, kind, schema }),
            _ => None,
        })
    }
}

impl fmt::Display for StoreIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, key, kind, schema } = self;
        write!(f, "{kind} of key {key} on network {network}, schema {schema}")
    }
}
