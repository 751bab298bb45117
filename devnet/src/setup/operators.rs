//! Operators: keys, registration with proof of possession, voting power, and the set that is committed of them.

use alloy::primitives::{Address, U256, Uint};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use ditto_core::bls::{Purpose, SecretKey, possession_digest};
use ditto_core::chain::ContractsConfig;
use ditto_core::chain::bindings::obls::OBLS;

use crate::anvil::{CHAIN_ID, Chain};
use crate::keys::{Role, Seed};
use crate::options::Options;
use crate::transactions::{Row, Sender, fund};

/// Everybody's voting power.
const POWER: u64 = 1_000;

/// An operator's keys.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its number, from 0.
    pub index: u64,
    /// Registers.
    pub controller: PrivateKeySigner,
    /// Signs proposals and sends transactions.
    pub signer: PrivateKeySigner,
    /// Signs votes.
    pub consensus: SecretKey,
    /// Whether, and how, it misbehaves.
    pub conduct: Conduct,
}

/// How an operator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// As it should.
    Honest,
    /// It rejects the operations of every third workflow: those whose number leaves this remainder.
    Dissenting(u64),
    /// It lies, withholds and equivocates.
    Lying,
}

impl Operator {
    /// Its name among the children, and of its files.
    #[must_use]
    pub fn name(&self) -> String {
        format!("operator-{}", self.index)
    }

    /// The address of its delegated signer.
    #[must_use]
    pub fn signer_address(&self) -> Address {
        self.signer.address()
    }
}

/// The keys of all operators. The last ones are those that misbehave.
///
/// # Errors
/// Practically never.
pub fn derive(seed: &Seed, options: &Options) -> anyhow::Result<Vec<Operator>> {
    let dissenting = options.operators.saturating_sub(options.byzantine);
    let honest = dissenting.saturating_sub(options.dissenting);
    let conduct = |index: u64| match index {
        _ if index >= dissenting => Conduct::Lying,
        _ if index >= honest => Conduct::Dissenting(index - honest),
        _ => Conduct::Honest,
    };
    (0..options.operators)
        .map(|index| {
            Ok(Operator {
                index,
                controller: seed.ecdsa(Role::Controller, index)?,
                signer: seed.ecdsa(Role::Signer, index)?,
                consensus: seed.bls(Role::Consensus, index)?,
                conduct: conduct(index),
            })
        })
        .collect()
}

/// Sends the registrations and what makes a set of them.
///
/// # Errors
/// When the chain does not take a transaction.
pub async fn register(
    chain: &Chain,
    governance: &mut Sender,
    contracts: &ContractsConfig,
    operators: &[Operator],
    row: &mut Row,
) -> anyhow::Result<()> {
    for operator in operators {
        let key = operator.consensus.public();
        let digest = possession_digest(operator.controller.address(), CHAIN_ID, contracts.obls, &key);
        let possession = operator.consensus.sign(&digest.0, Purpose::Possession);
        let call = OBLS::registerCall {
            key: key.to_eip2537().to_vec().into(),
            possession: words(&possession.to_eip2537()),
            signer: operator.signer_address(),
        };
        let mut controller = Sender::funded(chain, operator.controller.clone()).await?;
        let what = format!("register {}", operator.name());
        row.add(controller.call(what, contracts.obls, U256::ZERO, call.abi_encode(), 1_000_000).await?).await?;
        // Any operator may submit when the aggregator does not.
        fund(chain, operator.signer_address()).await?;
    }
    let each = operators.len() as u64;
    let call = OBLS::setVotingPowerCall {
        controllers: operators.iter().map(|operator| operator.controller.address()).collect(),
        powers: operators.iter().map(|_| Uint::from(POWER)).collect(),
    };
    let gas = 200_000 + 60_000 * each;
    row.add(governance.call("set voting power", contracts.obls, U256::ZERO, call.abi_encode(), gas).await?).await?;
    let call = OBLS::commitSetCall {}.abi_encode();
    let gas = 500_000 + 100_000 * each;
    row.add(governance.call("commit the operator set", contracts.obls, U256::ZERO, call, gas).await?).await
}

/// A G1 point as the four words that the contract takes.
fn words(point: &[u8; 128]) -> [alloy::primitives::B256; 4] {
    std::array::from_fn(|word| alloy::primitives::B256::from_slice(&point[word * 32..(word + 1) * 32]))
}
