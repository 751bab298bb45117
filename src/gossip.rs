//! Gossip: what the network says, into the pipeline.

use ditto_core::admission::AcceptedSets;
use ditto_core::p2p::{Acceptance, Event, Topic, Transport, VoteRefusal};
use ditto_core::stage::{Deadline, Outbox, Refused};
use ditto_core::wire;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::attest::Item;

/// Reads the network's events until it ends. Proposals are decoded and handed to the judge; votes are the aggregator's
/// business, so gossiped ones are only passed on.
pub async fn listen(
    mut events: mpsc::Receiver<Event>,
    transport: Arc<dyn Transport>,
    sets: AcceptedSets,
    judge: Outbox<Item>,
    collectors: mpsc::Sender<[u8; 20]>,
    stopping: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            () = stopping.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            None => return,
            Some(Event::Gossip { topic: Topic::Proposals, bytes, from, token, .. }) => match wire::decode_batch(&bytes)
            {
                Ok(batch) => {
                    let item = Item::Proposed { batch: Box::new(batch), from: Some((from, token)) };
                    match judge.try_send(item, Deadline::none()) {
                        Ok(()) => {}
                        Err(Refused::Closed(_)) => return,
                        // Counted by the stage. A token that is dropped is ignored: nobody is blamed for our load.
                        Err(_) => tracing::warn!("the judge's queue is full: a proposal was dropped"),
                    }
                }
                Err(error) => {
                    tracing::info!(%from, %error, "not a proposal");
                    metrics::counter!("ditto_operator_undecodable_total").increment(1);
                    transport.report(token, Acceptance::Reject);
                }
            },
            Some(Event::Gossip { topic: Topic::Votes, bytes, token, .. }) => {
                transport.report(token, worth_passing_on(&bytes, &sets));
            }
            Some(Event::Gossip { topic: Topic::Splits, bytes, from, token, .. }) => match wire::Split::decode(&bytes) {
                Ok(split) => {
                    let item = Item::Asked { split: Box::new(split), token: Some(token) };
                    match judge.try_send(item, Deadline::none()) {
                        Ok(()) => {}
                        Err(Refused::Closed(_)) => return,
                        Err(_) => tracing::warn!("the judge's queue is full: a request for votes in parts was dropped"),
                    }
                }
                Err(error) => {
                    tracing::info!(%from, %error, "not a request for votes in parts");
                    metrics::counter!("ditto_operator_undecodable_total").increment(1);
                    transport.report(token, Acceptance::Reject);
                }
            },
            Some(Event::Vote { reply, .. }) => reply.answer(Err(VoteRefusal::Unwanted)),
            Some(Event::PeerAdmitted { peer, role }) => {
                tracing::info!(%peer, %role, "peer admitted");
                // Full: those that wait are served first, and this one comes again.
                if role.collects() && collectors.try_send(role.address()).is_err() {
                    tracing::debug!(%peer, "too many collectors came at once");
                }
            }
            Some(Event::PeerLost { peer, role }) => tracing::info!(%peer, %role, "peer lost"),
        }
    }
}

/// A vote of a member of the current set travels on; its signature is the aggregator's to check, in groups. What cannot be
/// a vote costs its sender; what another node may know better is left to it.
fn worth_passing_on(bytes: &[u8], sets: &AcceptedSets) -> Acceptance {
    let Ok(vote) = wire::Vote::decode(bytes) else { return Acceptance::Reject };
    let sets = sets.get();
    let member = sets.set(vote.set_id).and_then(|set| set.members.get(usize::try_from(vote.attester).ok()?));
    if member.is_some_and(|member| member.power > 0) { Acceptance::Accept } else { Acceptance::Ignore }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ditto_core::p2p::{MessageToken, PeerId, PublishError, Role, SendError, VoteReceipt};
    use ditto_core::stage::{Pipeline, StageConfig};
    use ditto_core::telemetry::measured;
    use futures::future::BoxFuture;
    use std::sync::Mutex;
    use std::time::Duration;

    /// Remembers the verdicts on what was gossiped.
    #[derive(Default)]
    struct Heard(Mutex<Vec<Acceptance>>);

    impl Transport for Heard {
        fn publish(&self, _: Topic, _: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>> {
            Box::pin(async { Ok(()) })
        }
        fn send_vote(&self, _: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
            Box::pin(async { Ok(VoteReceipt::Accepted) })
        }
        fn send_vote_to(&self, _: [u8; 20], _: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
            Box::pin(async { Ok(VoteReceipt::Accepted) })
        }
        fn report(&self, _: MessageToken, verdict: Acceptance) {
            self.0.lock().unwrap().push(verdict);
        }
        fn ban(&self, _: PeerId, _: Duration, _: &'static str) {}
    }

    #[tokio::test]
    async fn what_is_no_message_of_ours_is_rejected_and_counted() {
        let undecodable = || measured("ditto_operator_undecodable_total", &[]);
        let before = undecodable();
        let (events, listening) = mpsc::channel(8);
        for topic in [Topic::Proposals, Topic::Splits] {
            let (from, token) = (PeerId::random(), MessageToken::detached());
            events
                .send(Event::Gossip { topic, bytes: vec![7; 9], from, role: Role::Operator([1; 20]), token })
                .await
                .unwrap();
        }
        drop(events);
        let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
        let (judge, _inbox) = pipeline.queue("judge", &StageConfig::waiting(2, 1));
        let heard = Arc::new(Heard::default());
        let (collectors, _) = mpsc::channel(1);
        listen(listening, heard.clone(), AcceptedSets::new(), judge, collectors, CancellationToken::new()).await;
        assert_eq!(*heard.0.lock().unwrap(), [Acceptance::Reject, Acceptance::Reject]);
        assert!(undecodable() >= before + 2.0);
    }
}
