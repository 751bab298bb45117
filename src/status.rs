//! `/status`: what somebody asks who was woken up.
//!
//! It answers from the first moment on, when chains and peers are still waited for: what is not there yet is left out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use ditto_core::admission::AcceptedSets;
use ditto_core::bls::PublicKey;
use ditto_core::chain::{Heads, Request, Rpc};
use ditto_core::clock::{Slot, SlotClock};
use ditto_core::election::performers;
use ditto_core::operators::OperatorSet;
use ditto_core::p2p::Network;
use ditto_core::stage::Depths;
use ditto_core::telemetry::status::{BalanceStatus, ChainStatus, RoleStatus, SetStatus, Status, TurnStatus};
use ditto_core::telemetry::{Readiness, StatusFn};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::config::OperatorConfig;
use crate::node::Keys;

/// How often the signer's balance is read.
const BALANCE_EVERY: Duration = Duration::from_secs(15);
/// How many slots the next turn is looked for in; an operator with less than a thousandth of the power may have none.
const LOOK_AHEAD: Slot = 1_024;

/// Where what is shown is looked up. Clones show the same.
#[derive(Clone)]
pub struct Vitals(Arc<Inner>);

struct Inner {
    config: Arc<OperatorConfig>,
    clock: SlotClock,
    board: Arc<Board>,
    readiness: Readiness,
    key: PublicKey,
    signer: Address,
    engine_id: B256,
    started: Instant,
    heads: OnceLock<Arc<BTreeMap<u64, Heads>>>,
    sets: OnceLock<AcceptedSets>,
    network: OnceLock<Network>,
    stages: OnceLock<Depths>,
    balance: Mutex<Option<(U256, Instant)>>,
    /// The last look for the next turn: under which set, with which powers, and what was found.
    turn: Mutex<Option<(Arc<OperatorSet>, Turn)>>,
}

/// Where the next turn was looked for, and where it is.
#[derive(Clone, Copy, Debug)]
struct Turn {
    from: Slot,
    found: Option<Slot>,
}

impl Vitals {
    /// What is there from the start.
    #[must_use]
    pub fn new(
        config: &Arc<OperatorConfig>,
        clock: &SlotClock,
        board: &Arc<Board>,
        readiness: &Readiness,
        keys: &Keys,
    ) -> Self {
        Self(Arc::new(Inner {
            config: config.clone(),
            clock: clock.clone(),
            board: board.clone(),
            readiness: readiness.clone(),
            key: keys.consensus.public(),
            signer: keys.signer.address(),
            engine_id: B256::from(ditto_sandbox::engine_id_with(&config.sandbox.limits)),
            started: Instant::now(),
            heads: OnceLock::new(),
            sets: OnceLock::new(),
            network: OnceLock::new(),
            stages: OnceLock::new(),
            balance: Mutex::default(),
            turn: Mutex::default(),
        }))
    }

    /// The chains are followed from now on. (What is told twice stays as it was told first, here and below.)
    pub fn chains(&self, heads: Arc<BTreeMap<u64, Heads>>) {
        self.0.heads.get_or_init(|| heads);
    }

    /// Operator sets and peers are known from now on.
    pub fn peers(&self, sets: AcceptedSets, network: Network) {
        self.0.sets.get_or_init(|| sets);
        self.0.network.get_or_init(|| network);
    }

    /// The pipeline runs from now on.
    pub fn stages(&self, stages: Depths) {
        self.0.stages.get_or_init(|| stages);
    }

    /// What answers `/status`.
    #[must_use]
    pub fn answers(&self) -> StatusFn {
        let vitals = self.clone();
        // A status is plain text and numbers: it can be written as JSON.
        Arc::new(move || serde_json::to_value(vitals.show()).unwrap_or_default())
    }

    /// Reads the signer's balance from time to time, until `stop`.
    pub fn follow_balance(&self, target: Arc<Rpc>, stop: CancellationToken) {
        let vitals = self.clone();
        tokio::spawn(async move {
            let mut every = tokio::time::interval(BALANCE_EVERY);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = every.tick() => {}
                }
                let asked = Request::new("eth_getBalance", &json!([vitals.0.signer, "latest"]));
                // A node that is down is reported by whoever follows the chain.
                if let Ok(wei) = target.ask_for::<U256>(asked).await {
                    metrics::gauge!("ditto_operator_balance_wei").set(f64::from(wei));
                    *lock(&vitals.0.balance) = Some((wei, Instant::now()));
                }
            }
        });
    }

    fn show(&self) -> Status {
        let Inner { config, clock, .. } = &*self.0;
        let rules = &config.network;
        let ready = self.0.readiness.report();
        let slot = clock.current();
        let set = self.0.sets.get().and_then(|sets| sets.get().current().cloned());
        let more = [
            ("consensus_key", json!(alloy::hex::encode_prefixed(self.0.key.to_bytes()))),
            ("signer", json!(self.0.signer)),
            ("peer_id", json!(self.0.network.get().map(|network| network.local_peer_id().to_string()))),
        ];
        Status {
            binary: "ditto-operator".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.0.started.elapsed().as_secs(),
            ready: ready.ready,
            checks: ready.checks,
            network: rules.name.clone(),
            network_id: config.chains.get(&rules.target_chain).map(|chain| rules.id(chain).to_string()),
            target_chain: rules.target_chain,
            engine_id: Some(self.0.engine_id.to_string()),
            slot,
            slot_elapsed_ms: slot.map_or(0, |slot| clock.since_ms(slot)),
            slot_seconds: rules.slot_seconds,
            role: slot.zip(set.as_ref()).map(|(slot, set)| role(set, &self.0.key, slot, rules.ranks)),
            next_turn: slot.zip(set.as_ref()).and_then(|(slot, set)| self.next_turn(set, slot)),
            operator_set: set.as_ref().map(|set| {
                let own = set.by_key(&self.0.key);
                SetStatus {
                    id: set.id,
                    members: set.members.len(),
                    power: set.total_power.to_string(),
                    own_index: own.map(|(index, _)| index),
                    own_power: Some(own.map_or(0, |(_, member)| member.power).to_string()),
                }
            }),
            chains: config.chains.keys().map(|id| self.chain(*id)).collect(),
            peers: self
                .0
                .network
                .get()
                .map_or_else(Vec::new, |network| network.peers().iter().map(|peer| peer.role.to_string()).collect()),
            listen: self
                .0
                .network
                .get()
                .map_or_else(Vec::new, |network| network.listen_addresses().iter().map(ToString::to_string).collect()),
            balance: lock(&self.0.balance).map(|(wei, at)| BalanceStatus {
                address: self.0.signer.to_string(),
                wei: wei.to_string(),
                age_seconds: at.elapsed().as_secs(),
            }),
            stages: self.0.stages.get().map_or_else(Vec::new, Depths::read),
            last_vote: self.0.board.last_vote(),
            slots: json!(self.0.board.recent()),
            more: more.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Status::default()
        }
    }

    fn chain(&self, id: u64) -> ChainStatus {
        let head = self.0.heads.get().and_then(|heads| heads.get(&id)).and_then(Heads::latest);
        ChainStatus::of(id, head, self.0.clock.now_ms())
    }

    /// The next slot after this one in which this operator performs, if the set stays.
    fn next_turn(&self, set: &Arc<OperatorSet>, slot: Slot) -> Option<TurnStatus> {
        let mut last = lock(&self.0.turn);
        // Drawing a thousand slots takes a while: it is done once for every turn, or half way to where none was found.
        let known = last.as_ref().filter(|(of, turn)| {
            Arc::ptr_eq(of, set)
                && turn.from <= slot
                && turn.found.map_or(slot < turn.from + LOOK_AHEAD / 2, |found| found > slot)
        });
        let found = match known {
            Some((_, turn)) => turn.found,
            None => {
                let found = turn_after(set, &self.0.key, slot);
                *last = Some((set.clone(), Turn { from: slot, found }));
                found
            }
        };
        let schedule = self.0.clock.schedule();
        let starts = |slot| schedule.start_seconds(slot).saturating_sub(self.0.clock.now_ms() / 1_000);
        found.map(|slot| TurnStatus { slot, in_seconds: starts(slot) })
    }
}

fn turn_after(set: &OperatorSet, key: &PublicKey, slot: Slot) -> Option<Slot> {
    let (own, _) = set.by_key(key).filter(|(_, member)| member.power > 0)?;
    (slot.saturating_add(1)..=slot.saturating_add(LOOK_AHEAD))
        .find(|slot| performers(set, *slot, 1).first() == Some(&own))
}

/// What the holder of this key is in a slot.
fn role(set: &OperatorSet, key: &PublicKey, slot: Slot, ranks: usize) -> RoleStatus {
    let Some((own, _)) = set.by_key(key).filter(|(_, member)| member.power > 0) else {
        return RoleStatus { name: "watcher".to_owned(), rank: None };
    };
    let rank = performers(set, slot, ranks).iter().position(|index| *index == own);
    RoleStatus { name: if rank.is_some() { "performer" } else { "attester" }.to_owned(), rank }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole values are put in, so a panic elsewhere leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ditto_core::bls::SecretKey;
    use ditto_core::operators::Member;

    use super::*;

    fn set(powers: &[u128]) -> (Vec<PublicKey>, OperatorSet) {
        let keys: Vec<_> =
            (1..=powers.len() as u8).map(|n| SecretKey::from_bytes(&[n; 32]).unwrap().public()).collect();
        let member = |(key, power): (&PublicKey, &u128)| Member {
            controller: Address::ZERO,
            signer: Address::ZERO,
            power: *power,
            key: *key,
        };
        let members = keys.iter().zip(powers).map(member).collect();
        (keys, OperatorSet::new(1, members, B256::repeat_byte(7)))
    }

    #[test]
    fn roles_and_turns_are_those_of_the_election() {
        let (keys, set) = set(&[100, 100, 100, 0]);
        for slot in 0..50 {
            let drawn = performers(&set, slot, 2);
            for (index, key) in keys[..3].iter().enumerate() {
                let found = role(&set, key, slot, 2);
                assert_eq!(found.rank, drawn.iter().position(|own| *own == index));
                assert_eq!(found.name == "performer", found.rank.is_some());
                let turn = turn_after(&set, key, slot).unwrap();
                assert!(turn > slot && performers(&set, turn, 1) == [index]);
                assert!((slot + 1..turn).all(|slot| performers(&set, slot, 1) != [index]));
            }
        }
        // Jailed, or not a member.
        assert_eq!(role(&set, &keys[3], 1, 2).name, "watcher");
        assert_eq!(turn_after(&set, &keys[3], 1), None);
        assert_eq!(turn_after(&set, &SecretKey::from_bytes(&[9; 32]).unwrap().public(), 1), None);
    }

    /// A node that knows its chain and one balance.
    async fn node(wei: &'static str) -> String {
        use axum::Json;
        use axum::routing::post;
        use serde_json::Value;
        let one = move |asked: &Value| {
            let result = if asked["method"] == "eth_chainId" { "0x7a69" } else { wei };
            json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result })
        };
        let answer = move |Json(asked): Json<Value>| async move {
            Json(asked.as_array().map_or_else(|| one(&asked), |all| all.iter().map(one).collect()))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", post(answer))).await });
        url
    }

    #[tokio::test]
    async fn what_is_there_is_told_and_what_is_not_yet_is_left_out() {
        use ditto_core::clock::SystemClock;
        use ditto_core::telemetry::measured;
        let url = node("0x16345785d8a0000").await;
        let text = format!(
            r#"
            [network]
            name = "test"
            target_chain = 31337
            genesis_seconds = 1
            slot_seconds = 2
            aggregator = "0x0000000000000000000000000000000000000001"
            [chains.31337]
            rpc = ["{url}"]
            "#
        );
        let table: toml::Table = text.parse().unwrap();
        let config: OperatorConfig = serde_json::from_value(serde_json::to_value(table).unwrap()).unwrap();
        let rpc = Arc::new(Rpc::new(31_337, &config.chains[&31_337]).unwrap());
        let config = Arc::new(config);
        let clock = SlotClock::new(config.network.schedule(), Arc::new(SystemClock));
        let (board, readiness) = (Arc::new(Board::default()), Readiness::new());
        let consensus = SecretKey::from_bytes(&[1; 32]).unwrap();
        let signer = alloy::signers::local::PrivateKeySigner::from_bytes(&B256::repeat_byte(2)).unwrap();
        let check = readiness.check("chain");
        // Installs the recorder.
        assert!(!measured("ditto_operator_balance_wei", &[]).is_nan(), "somebody else installed another recorder");
        let vitals = Vitals::new(&config, &clock, &board, &readiness, &Keys { consensus, signer });

        let early = (vitals.answers())();
        assert_eq!((&early["ready"], &early["checks"]["chain"]["reason"]), (&json!(false), &json!("starting")));
        for absent in ["operator_set", "role", "next_turn", "balance", "last_vote"] {
            assert!(early.get(absent).is_none(), "{early:#}");
        }
        check.ready();
        let stop = CancellationToken::new();
        vitals.follow_balance(rpc, stop.clone());
        let patience = Instant::now() + Duration::from_secs(60);
        while vitals.show().balance.is_none() {
            assert!(Instant::now() < patience, "no balance is read");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        let batch = ditto_core::proposal::BatchId { proposal: B256::repeat_byte(3), index: 1 };
        board.voted(7, batch, "direct");
        let shown = (vitals.answers())();
        assert_eq!(shown["balance"]["wei"], "100000000000000000");
        assert!((measured("ditto_operator_balance_wei", &[]) - 1e17).abs() < 1.0);
        assert_eq!((&shown["ready"], &shown["last_vote"]["slot"]), (&json!(true), &json!(7)));
        assert_eq!(shown["last_vote"]["outcome"], "direct");
        // It is what `top` reads.
        let read: Status = serde_json::from_value(shown.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), shown);
    }
}
