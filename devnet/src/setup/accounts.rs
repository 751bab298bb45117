//! Smart accounts: each with an owner, a deposit at the EntryPoint, the validator module with one session, and what its
//! workflow spends.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolValue};
use anyhow::Context;
use ditto_core::chain::ContractsConfig;
use ditto_core::chain::bindings::registry::WorkflowRegistry::{self, Policy, Rule};
use futures::future::try_join_all;

use super::Demo;
use super::workflows::Example;
use crate::anvil::Chain;
use crate::bindings::account_factory::DittoAccountFactory::{self, Session};
use crate::bindings::counter::OccurrenceCounter;
use crate::bindings::entry_point::EntryPoint;
use crate::bindings::token::DemoToken;
use crate::bindings::vault::DemoVault;
use crate::keys::{Role, Seed};
use crate::transactions::{Row, Sender};

/// What an account deposits for its operations' gas: 10 ether.
const DEPOSIT: u128 = 10 * 10_u128.pow(18);
/// What an account holds of the token: a million.
const TOKENS: u128 = 1_000_000 * 10_u128.pow(18);
/// What a session lets one operation's calls burn, and pay per gas.
const MAX_CALL_GAS: u128 = 500_000;
const MAX_FEE_PER_GAS: u128 = 500_000_000_000;

/// A smart account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its number, from 0; its workflow's too.
    pub index: u64,
    /// Where it is.
    pub address: Address,
    /// Signs its own operations.
    pub owner: PrivateKeySigner,
    /// Names the session under which its workflow acts.
    pub session_key: Address,
    /// What its workflow does.
    pub example: Example,
    /// Where the transfers of its workflow go.
    pub recipient: Address,
}

/// Sends what makes the accounts.
///
/// # Errors
/// When the chain does not take a transaction.
#[allow(clippy::too_many_arguments, reason = "each is a different thing that an account is made of")]
pub async fn create(
    chain: &Chain,
    payer: &mut Sender,
    seed: &Seed,
    contracts: &ContractsConfig,
    demo: &Demo,
    factory: Address,
    examples: &[Example],
    row: &mut Row,
) -> anyhow::Result<Vec<Account>> {
    for example in examples.iter().collect::<BTreeSet<_>>() {
        let code = WorkflowRegistry::publishCodeCall { code: example.code().as_bytes().to_vec().into() };
        let gas = 500_000 + 300 * example.code().len() as u64;
        let what = format!("publish the code of {}", example.name());
        row.add(payer.call(what, contracts.registry, U256::ZERO, code.abi_encode(), gas).await?).await?;
        let policy = WorkflowRegistry::publishPolicyCall { policy: policy(*example, demo).into() };
        let what = format!("publish the policy of {}", example.name());
        row.add(payer.call(what, contracts.registry, U256::ZERO, policy.abi_encode(), 1_000_000).await?).await?;
    }

    let starts: Vec<Start> = (0..)
        .zip(examples)
        .map(|(index, example)| Start::new(seed, index, *example, demo))
        .collect::<Result<_, _>>()?;
    let mut accounts = Vec::with_capacity(starts.len());
    // In portions: thousands of questions at once would be refused by the connection, not by the chain.
    for portion in starts.chunks(64) {
        let addresses = try_join_all(portion.iter().map(|start| async {
            let factory = DittoAccountFactory::new(factory, &chain.provider);
            let module = contracts.validator_module;
            factory.accountOf(start.owner.address(), module, vec![start.session.clone()], start.salt()).call().await
        }))
        .await
        .context("the account factory does not say where accounts will be")?;
        accounts.extend(portion.iter().zip(addresses).map(|(start, address)| start.account(address)));
    }

    for (start, account) in starts.iter().zip(&accounts) {
        let call = DittoAccountFactory::createAccountCall {
            owner: start.owner.address(),
            module: contracts.validator_module,
            sessions: vec![start.session.clone()],
            salt: start.salt(),
        };
        let what = format!("create account {}", account.index);
        row.add(payer.call(what, factory, U256::ZERO, call.abi_encode(), 600_000).await?).await?;
        let call = EntryPoint::depositToCall { account: account.address };
        let what = format!("deposit for account {}", account.index);
        let deposit = U256::from(DEPOSIT);
        row.add(payer.call(what, contracts.entry_point, deposit, call.abi_encode(), 100_000).await?).await?;
        if account.example == Example::RecurringTransfer {
            let call = DemoToken::mintCall { to: account.address, amount: U256::from(TOKENS) };
            let what = format!("mint for account {}", account.index);
            row.add(payer.call(what, demo.token, U256::ZERO, call.abi_encode(), 120_000).await?).await?;
        }
    }
    Ok(accounts)
}

/// What an account starts with; its address follows from all of it.
struct Start {
    index: u64,
    owner: PrivateKeySigner,
    session: Session,
    example: Example,
    recipient: Address,
}

impl Start {
    fn new(seed: &Seed, index: u64, example: Example, demo: &Demo) -> anyhow::Result<Self> {
        let session = Session {
            sessionKey: seed.address(Role::Session, index),
            validAfter: alloy::primitives::Uint::ZERO,
            validUntil: alloy::primitives::Uint::ZERO,
            policyHash: keccak256(policy(example, demo)),
        };
        let recipient = seed.address(Role::Recipient, index);
        Ok(Self { index, owner: seed.ecdsa(Role::Owner, index)?, session, example, recipient })
    }

    fn salt(&self) -> B256 {
        U256::from(self.index).into()
    }

    fn account(&self, address: Address) -> Account {
        Account {
            index: self.index,
            address,
            owner: self.owner.clone(),
            session_key: self.session.sessionKey,
            example: self.example,
            recipient: self.recipient,
        }
    }
}

/// What an example's session may do: exactly the calls that it makes.
fn policy(example: Example, demo: &Demo) -> Vec<u8> {
    let rule = |target, selector: [u8; 4]| Rule { target, selector: selector.into(), maxValue: U256::ZERO };
    let act = match example {
        Example::RecurringTransfer | Example::Hostile => rule(demo.token, DemoToken::transferCall::SELECTOR),
        Example::ThresholdRebalance => rule(demo.vault, DemoVault::rebalanceCall::SELECTOR),
    };
    Policy {
        rules: vec![act, rule(demo.counter, OccurrenceCounter::recordCall::SELECTOR)],
        maxValuePerOp: U256::ZERO,
        maxCallGas: MAX_CALL_GAS,
        maxFeePerGas: MAX_FEE_PER_GAS,
    }
    .abi_encode()
}
