//! The way back: attesters are asked to vote on a disputed batch in parts.
//!
//! A question is signed with the submitter's key, which the proposal names, and gossiped; without peers it waits for some
//! for as long as the batch's operations are valid.

use std::sync::Arc;
use std::time::Duration;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::clock::SlotClock;
use ditto_core::consent::SigningDomain;
use ditto_core::p2p::{PublishError, Topic, Transport};
use ditto_core::stage::{Deadline, Handler, Outcome};
use ditto_core::wire::Split;

use crate::verify::Question;

/// Pause before a question that nobody took is gossiped again.
const PAUSE: Duration = Duration::from_millis(100);

/// The stage.
pub struct Ask {
    /// What is signed.
    pub domain: SigningDomain,
    /// The submitter's key.
    pub signer: PrivateKeySigner,
    /// The peers.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: SlotClock,
}

impl Handler for Ask {
    type Item = Question;
    const OUTCOMES: &'static [Outcome] = &["asked", "nobody_there", "malformed"];

    async fn handle(&self, question: Question, _deadline: Deadline) -> Outcome {
        let Some(bytes) = signed(&self.domain, &self.signer, &question).and_then(|split| split.encode().ok()) else {
            return "malformed";
        };
        let until_ms = question.batch.valid_until().saturating_mul(1000);
        while self.clock.now_ms() < until_ms {
            match self.transport.publish(Topic::Splits, bytes.clone()).await {
                Ok(()) | Err(PublishError::Duplicate) => return "asked",
                Err(PublishError::TooLarge { .. } | PublishError::Closed) => return "malformed",
                Err(error @ (PublishError::NoPeers | PublishError::Busy)) => {
                    tracing::debug!(batch = %question.batch.id, %error, "a question was not gossiped yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        "nobody_there"
    }
}

/// The signed request; `None` when the key does not sign, which a key in memory does.
#[must_use]
pub fn signed(domain: &SigningDomain, signer: &PrivateKeySigner, question: &Question) -> Option<Split> {
    let (batch, round, vectors) = (question.batch.id, question.round, question.vectors.clone());
    let digest = Split::digest(domain, batch, round, &vectors);
    let signature = signer.sign_hash_sync(&digest).ok()?.as_bytes();
    Some(Split { batch, round, vectors, signature })
}
