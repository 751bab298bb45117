//! Votes per second of one core, from bytes on the wire to a certificate. Time is the thread's own on the processor, so that
//! whatever else the machine does counts for little.
//!
//! Ours: decoded, screened, grouped, summed, the sum checked once. Beside it, in the same run and for as many votes of one
//! message: (a) blst, one vote after the other; (b) commonware-cryptography's batch verification of one message. The
//! guarantees differ: ours says that the sum which is submitted is sound, and finds the bad votes only when it is not; (a)
//! and (b) say of every vote whether it is.

use std::hint::black_box;
use std::time::{Duration, Instant};

use commonware_codec::{Copying, DecodeExt, Encode};
use commonware_cryptography::bls12381::primitives::group::{G1, G2};
use commonware_cryptography::bls12381::primitives::ops;
use commonware_cryptography::bls12381::primitives::variant::MinSig;
use commonware_parallel::Sequential;
use commonware_utils::{non_empty, test_rng};
use ditto_aggregator::collect::Came;
use ditto_aggregator::verify::{Job, Made, Verified};
use ditto_aggregator_benches::{Attesters, Bench, Hand, SLOT, batch, controller, result, write};
use ditto_core::bls::{Purpose, Signature, SignatureSum};
use ditto_core::p2p::PeerId;
use ditto_core::wire::Vote;

/// Tasks of a batch.
const TASKS: u64 = 32;
const NOTE: &str = "guarantees differ: a sum that is checked once, exactly as it is submitted, against every vote checked; \
                    from bytes to a certificate, one core's time, one run";

fn main() {
    let mut results = Vec::new();
    for n in [64usize, 256, 1024, 4096] {
        let (attesters, batch) = (Attesters::new(n), batch(SLOT, 0, TASKS));
        let wire = attesters.votes(&batch, &[]);
        let theirs = Theirs::new(n, &[]);
        let mut bench = Bench::new(&attesters, Hand::at(SLOT));
        let ours = |bench: &mut Bench| {
            bench.forget(&batch);
            certify(bench, &attesters, &wire)
        };
        // Alternating, so that whatever else the machine does meets all three.
        let [ours, alone, theirs] = alternate([
            &mut || {
                let (took, made) = ours(&mut bench);
                assert_eq!(made.signers.len(), n);
                took
            },
            &mut || one_by_one(&attesters, &batch, &wire),
            &mut || theirs.verify(&[]),
        ])
        .map(|took| n as f64 / took.as_secs_f64());
        results.push(result(format!("votes_per_s.n{n}"), ours, "votes/s", Some(("commonware-cryptography 2026.10.0", theirs)), Some(NOTE)));
        results.push(result(format!("votes_per_s.n{n}.beside_blst"), ours, "votes/s", Some(("blst, one by one", alone)), Some(NOTE)));
        if n <= 256 {
            let tasks = ours / n as f64 * TASKS as f64;
            results.push(result(
                format!("tasks_attested_per_core_s.n{n}"),
                tasks,
                "tasks/s",
                None,
                Some("certificates of batches of 32, each from the votes of all n attesters"),
            ));
        }
    }

    // One in a hundred is bad: three of 256, in three places.
    let (n, bad) = (256, [17, 130, 201]);
    let (attesters, batch) = (Attesters::new(n), batch(SLOT, 0, TASKS));
    let wire = attesters.votes(&batch, &bad);
    let theirs = Theirs::new(n, &bad);
    let mut bench = Bench::new(&attesters, Hand::at(SLOT));
    let [ours, theirs] = alternate([
        &mut || {
            bench.forget(&batch);
            let (took, made) = certify(&mut bench, &attesters, &wire);
            assert!(made.signers.len() == n - bad.len() && bad.iter().all(|bad| !made.signers.contains(bad)));
            assert!(bad.iter().all(|bad| bench.verify.bans.holds(controller(*bad), 0)));
            took
        },
        &mut || theirs.verify(&bad),
    ])
    .map(|took| n as f64 / took.as_secs_f64());
    results.push(result(
        "votes_per_s.n256.bad_1_percent".to_owned(),
        ours,
        "votes/s",
        Some(("commonware-cryptography 2026.10.0", theirs)),
        Some("three bad votes of 256, found and named by both; ours have their senders banned"),
    ));
    write("votes", results);
}

/// This thread's time on the processor.
struct Worked(Duration);

impl Worked {
    fn now() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock exists on Linux, and the place it is written to lives through the call.
        let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        assert_eq!(failed, 0, "the thread's clock");
        Self(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second")))
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// The median time of each, run in turn for about four seconds.
fn alternate<const K: usize>(mut runs: [&mut dyn FnMut() -> Duration; K]) -> [Duration; K] {
    let mut took: [Vec<Duration>; K] = std::array::from_fn(|_| Vec::new());
    let start = Instant::now();
    while took[0].len() < 3 || (start.elapsed() < Duration::from_secs(4) && took[0].len() < 400) {
        for (run, took) in runs.iter_mut().zip(&mut took) {
            took.push(run());
        }
    }
    took.map(|mut took| {
        took.sort_unstable();
        took[took.len() / 2]
    })
}

/// Our way: every vote through screening and verification, as the stages do it, until the certificate is there.
fn certify(bench: &mut Bench, attesters: &Attesters, wire: &[Vec<u8>]) -> (Duration, Verified) {
    let peers: Vec<PeerId> = wire.iter().map(|_| PeerId::random()).collect();
    let governance = bench.verify.governance.clone();
    let now_ms = bench.verify.clock.now_ms();
    let start = Worked::now();
    let mut certificate = None;
    for ((index, bytes), peer) in wire.iter().enumerate().zip(peers) {
        let vote = Vote::decode(bytes).expect("a vote");
        let came = Came::Directly(attesters.set.members[index].controller);
        let ballot = bench.screening.screen(vote, came, peer, &governance, now_ms).expect("a vote that is wanted");
        if let (_, Some(Made::Certificate(made))) = bench.verify.process(Job::Ballot(Box::new(ballot))) {
            certificate = Some(made);
        }
    }
    (start.elapsed(), certificate.expect("the votes suffice"))
}

/// (a): every vote is checked alone, then added.
fn one_by_one(attesters: &Attesters, batch: &ditto_aggregator::batch::Batch, wire: &[Vec<u8>]) -> Duration {
    // A sixteenth of the votes tells the time of all: each costs the same.
    let sample = (wire.len() / 16).max(16);
    let start = Worked::now();
    let mut sum = SignatureSum::default();
    let mut digest = None;
    for (index, bytes) in wire.iter().enumerate().take(sample) {
        let vote = Vote::decode(bytes).expect("a vote");
        let digest = digest.get_or_insert_with(|| batch.digest(&ditto_aggregator_benches::domain(), &vote.verdicts));
        let signature = Signature::from_bytes(&vote.signature).expect("a point");
        let key = &attesters.set.members[index].key;
        assert!(signature.verify(key, &digest.0, Purpose::Vote));
        sum.add(&signature, key);
    }
    black_box(sum);
    start.elapsed() * u32::try_from(wire.len()).expect("few votes") / u32::try_from(sample).expect("few votes")
}

/// (b): commonware-cryptography over its own keys, with its own encoding of signatures.
struct Theirs {
    keys: Vec<G2>,
    wire: Vec<Vec<u8>>,
}

const NAMESPACE: &[u8] = b"bench";
const MESSAGE: &[u8] = &[1; 32];

impl Theirs {
    fn new(n: usize, bad: &[usize]) -> Self {
        let mut rng = test_rng();
        let (mut keys, mut wire) = (Vec::new(), Vec::new());
        for index in 0..n {
            let (private, public) = ops::keypair::<_, MinSig>(&mut rng);
            let message = if bad.contains(&index) { &[7; 32] } else { MESSAGE };
            wire.push(ops::sign_message::<MinSig>(&private, NAMESPACE, message).encode().to_vec());
            keys.push(public);
        }
        Self { keys, wire }
    }

    fn verify(&self, bad: &[usize]) -> Duration {
        let mut rng = test_rng();
        let start = Worked::now();
        // Decoding checks the subgroup, which the batch verification relies on.
        let signatures: Vec<G1> = self.wire.iter().map(|bytes| G1::decode(Copying(bytes)).expect("a signature")).collect();
        let entries: Vec<(G2, G1)> = self.keys.iter().copied().zip(signatures.iter().copied()).collect();
        let mut found = ops::batch::verify_same_message::<_, MinSig, _>(
            &mut rng,
            NAMESPACE,
            MESSAGE,
            non_empty![@entries.iter().copied()],
            &Sequential,
        );
        let sound: Vec<G1> =
            signatures.iter().enumerate().filter(|(index, _)| !found.contains(index)).map(|(_, s)| *s).collect();
        black_box(ops::aggregate::combine_signatures::<MinSig, _>(non_empty![@sound.iter()]));
        let took = start.elapsed();
        found.sort_unstable();
        assert_eq!(found, bad);
        took
    }
}
