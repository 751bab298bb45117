//! An operator that misbehaves in every way that its keys allow, for the end-to-end tests.
//!
//! It is the real operator, with a liar between its pipeline and the network: every vote says the opposite of what it
//! found, properly signed, and the truth is sent after it; when it performs it withholds its proposal in even slots and
//! equivocates in odd ones, with a second proposal whose operations ask for more gas.
//!
//! With `--dissent R` it is milder: it rejects the operations of the workflows whose number leaves R when divided by three,
//! and is honest otherwise. Two such operators of four, and no batch has a quorum as a whole.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Parser, Subcommand};
use ditto_core::bls::{Purpose, SecretKey};
use ditto_core::clock::SystemClock;
use ditto_core::consent::SigningDomain;
use ditto_core::p2p::{
    Acceptance, Event, MessageToken, PeerId, PublishError, SendError, Topic, Transport, VoteReceipt,
};
use ditto_core::proposal::{BatchId, ProposedBatch, hash_batch, hash_batches};
use ditto_core::task::Task;
use ditto_core::telemetry::log;
use ditto_core::verdict::{Reason, Verdict, VerdictVector};
use ditto_core::wire::{self, Vote};
use ditto_operator::config::OperatorConfig;
use ditto_operator::node::{Ends, Keys, Node};
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;

/// Batches remembered, to lie about.
const REMEMBERED: usize = 256;
const EVENTS: usize = 1_024;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the misbehaving operator.
    Run(Source),
}

#[derive(Args)]
struct Source {
    #[arg(long, short)]
    config: PathBuf,
    /// Only reject the operations of every third workflow.
    #[arg(long, value_name = "R")]
    dissent: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    ditto_sandbox::enter_if_zygote();
    let Command::Run(source) = Cli::parse().command;
    let config = OperatorConfig::load(Some(&source.config), &[])?.value;
    log::install(&config.telemetry.log)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let corrupt = move |ends: Ends, keys: &Keys, domain| corrupt(ends, keys, domain, source.dissent);
        let node = Node::start(config, Arc::new(SystemClock), Some(Box::new(corrupt))).await?;
        terminate.recv().await;
        node.shutdown().await;
        Ok(())
    })
}

/// Puts the liar between pipeline and network.
fn corrupt(ends: Ends, keys: &Keys, domain: SigningDomain, dissent: Option<u64>) -> Ends {
    let liar = Arc::new(Liar {
        honest: ends.transport,
        consensus: keys.consensus.clone(),
        signer: keys.signer.clone(),
        domain,
        dissent,
        heard: Mutex::default(),
    });
    let (pass, events) = mpsc::channel(EVENTS);
    let (listener, mut incoming) = (liar.clone(), ends.events);
    tokio::spawn(async move {
        while let Some(event) = incoming.recv().await {
            if let Event::Gossip { topic: Topic::Proposals, bytes, .. } = &event {
                listener.remember(bytes);
            }
            if pass.send(event).await.is_err() {
                return;
            }
        }
    });
    Ends { transport: liar, events }
}

struct Liar {
    honest: Arc<dyn Transport>,
    consensus: SecretKey,
    signer: PrivateKeySigner,
    domain: SigningDomain,
    /// It is only a dissenter.
    dissent: Option<u64>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    batches: HashMap<BatchId, ProposedBatch>,
    order: VecDeque<BatchId>,
}

impl Liar {
    fn remember(&self, bytes: &[u8]) {
        let Ok(batch) = wire::decode_batch(bytes) else { return };
        let id = batch.id(&self.domain);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.batches.insert(id, batch).is_none() {
            heard.order.push_back(id);
        }
        if heard.order.len() > REMEMBERED
            && let Some(oldest) = heard.order.pop_front()
        {
            heard.batches.remove(&oldest);
        }
    }

    /// The opposite of the vote, properly signed; the vote itself when its batch is not known.
    fn lie(&self, bytes: Vec<u8>) -> Vec<u8> {
        let lied = || {
            let vote = Vote::decode(&bytes).ok()?;
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = heard.batches.get(&vote.batch)?;
            let said = |(task, verdict): (&Task, &Verdict)| match (self.dissent, verdict) {
                (Some(remainder), verdict) if task.occurrence.workflow % 3 != remainder => *verdict,
                // What it abstains from in a part stays abstained from, or it would contradict itself.
                (Some(_), Verdict::Abstain) => Verdict::Abstain,
                (_, Verdict::Approve) => Verdict::Reject(Reason::OtherOperation),
                (_, Verdict::Reject(_) | Verdict::Abstain) => Verdict::Approve,
            };
            let verdicts = VerdictVector(batch.tasks.iter().zip(&vote.verdicts.0).map(said).collect());
            let digest = self.domain.verdict_digest(vote.batch.proposal, &batch.tasks, &verdicts);
            let signature = self.consensus.sign(&digest, Purpose::Vote).to_bytes();
            Vote { verdicts, signature, ..vote }.encode().ok()
        };
        lied().unwrap_or(bytes)
    }

    /// A second proposal for the same slot.
    fn equivocation(&self, batch: &ProposedBatch) -> Option<Vec<u8>> {
        let mut other = batch.clone();
        for task in &mut other.tasks {
            task.op.call_gas += 1;
        }
        let at = usize::from(other.index);
        *other.batch_hashes.get_mut(at)? = hash_batch(&self.domain, &other.tasks);
        other.proposal.tasks = hash_batches(&other.batch_hashes);
        let digest = self.domain.proposal_digest(&other.proposal);
        other.signature = self.signer.sign_hash_sync(&digest).ok()?.as_bytes();
        wire::encode_batch(&other).ok()
    }

    async fn misperform(&self, bytes: Vec<u8>) -> Result<(), PublishError> {
        self.remember(&bytes);
        if self.dissent.is_some() {
            return self.honest.publish(Topic::Proposals, bytes).await;
        }
        let Ok(batch) = wire::decode_batch(&bytes) else { return Ok(()) };
        if batch.proposal.slot % 2 == 0 {
            tracing::info!(slot = batch.proposal.slot, "withholding");
            return Ok(());
        }
        tracing::info!(slot = batch.proposal.slot, "equivocating");
        if let Some(other) = self.equivocation(&batch) {
            self.remember(&other);
            self.honest.publish(Topic::Proposals, other).await?;
        }
        self.honest.publish(Topic::Proposals, bytes).await
    }
}

impl Transport for Liar {
    fn publish(&self, topic: Topic, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>> {
        match topic {
            Topic::Proposals => Box::pin(self.misperform(bytes)),
            Topic::Votes => self.honest.publish(topic, self.lie(bytes)),
            Topic::Splits => self.honest.publish(topic, bytes),
        }
    }

    fn send_vote(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(async move {
            let lied = self.honest.send_vote(self.lie(bytes.clone())).await;
            if self.dissent.is_none() {
                // Both under its name: a fault that anybody can prove.
                self.honest.send_vote(bytes).await.ok();
            }
            lied
        })
    }

    fn send_vote_to(&self, aggregator: [u8; 20], bytes: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        self.honest.send_vote_to(aggregator, self.lie(bytes))
    }

    fn report(&self, token: MessageToken, verdict: Acceptance) {
        self.honest.report(token, verdict);
    }

    fn ban(&self, peer: PeerId, length: std::time::Duration, reason: &'static str) {
        self.honest.ban(peer, length, reason);
    }
}
