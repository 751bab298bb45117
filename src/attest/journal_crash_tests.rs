//! Ten thousand crashes: the journal on a disk that loses and tears what was not synced, killed at every write.
#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use ditto_core::store::Marks;
use ditto_core::task::Occurrence;
use ditto_core::verdict::Reason;

/// A small generator whose whole state is the seed that is printed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Operations until the power goes.
#[derive(Clone, Debug)]
struct Power(Arc<AtomicU64>);

impl Power {
    fn draw(&self) -> io::Result<()> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
        if left.unwrap_or_default() <= 1 { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    fn is_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

const SECTOR: usize = 512;

/// A file: what a process sees, what is on the platter, and what is in between.
#[derive(Debug, Default)]
struct Contents {
    seen: Vec<u8>,
    platter: Vec<u8>,
    between: Vec<Unsynced>,
}

#[derive(Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Unsynced {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::Write(at, bytes) => {
                if to.len() < at + bytes.len() {
                    to.resize(at + bytes.len(), 0);
                }
                to[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Contents {
    fn change(&mut self, change: Unsynced) {
        change.apply(&mut self.seen);
        self.between.push(change);
    }

    fn sync(&mut self) {
        for change in self.between.drain(..) {
            change.apply(&mut self.platter);
        }
    }

    /// What is left after the power went: of what was not synced any part, in whole sectors and in any order.
    fn crash(&mut self, chance: &mut Chance) {
        for change in std::mem::take(&mut self.between) {
            match (chance.below(3), change) {
                (0, _) => {}
                (1, whole) => whole.apply(&mut self.platter),
                (_, Unsynced::Length(length)) => Unsynced::Length(length).apply(&mut self.platter),
                (_, Unsynced::Write(at, bytes)) => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let until = ((at + from) / SECTOR * SECTOR + SECTOR - at).min(bytes.len());
                        if chance.below(2) == 0 {
                            Unsynced::Write(at + from, bytes[from..until].to_vec()).apply(&mut self.platter);
                        }
                        from = until;
                    }
                }
            }
        }
        self.seen.clone_from(&self.platter);
    }
}

#[derive(Clone, Debug)]
struct Disk {
    contents: Arc<Mutex<Contents>>,
    power: Power,
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.contents.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let contents = self.contents.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        let bytes = contents.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.power.draw()?;
        self.contents.lock().unwrap().change(Unsynced::Length(usize::try_from(len).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.power.draw()?;
        self.contents.lock().unwrap().sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut contents = self.contents.lock().unwrap();
        // The last write is under way when the power goes.
        contents.change(Unsynced::Write(usize::try_from(offset).unwrap(), data.to_vec()));
        self.power.draw()
    }
}

impl Marks for Disk {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.contents.lock().unwrap().seen.clone())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.contents.lock().unwrap();
        contents.change(Unsynced::Write(usize::try_from(offset).unwrap(), bytes.to_vec()));
        self.power.draw()?;
        contents.sync();
        Ok(())
    }
}

/// Everything that ever left the process signed, across all crashes.
#[derive(Default)]
struct Said {
    approved: HashMap<(Slot, Occurrence), B256>,
    rejected: HashSet<(Slot, Occurrence, B256)>,
    proposed: HashMap<Slot, B256>,
    statements: u64,
}

impl Said {
    fn verdict(&mut self, slot: Slot, entry: &Entry, signed: Verdict) {
        let at = (slot, entry.occurrence);
        match signed {
            Verdict::Abstain => return,
            Verdict::Approve => {
                let first = *self.approved.entry(at).or_insert(entry.operation);
                assert_eq!(first, entry.operation, "two operations approved for {at:?}");
            }
            Verdict::Reject(_) => drop(self.rejected.insert((slot, entry.occurrence, entry.operation))),
        }
        let both = self.approved.get(&at) == Some(&entry.operation)
            && self.rejected.contains(&(slot, entry.occurrence, entry.operation));
        assert!(!both, "{:?} approved and rejected for {at:?}", entry.operation);
        self.statements += 1;
    }

    fn proposal(&mut self, slot: Slot, digest: B256) {
        assert_eq!(*self.proposed.entry(slot).or_insert(digest), digest, "two proposals for slot {slot}");
        self.statements += 1;
    }
}

fn identity() -> StoreIdentity {
    StoreIdentity { network: "test".into(), key: "00".into(), kind: "journal".into(), schema: 1 }
}

/// How many disk operations a life may have: opening takes a few, every commit about ten.
const LONGEST_LIFE: u64 = 60;

#[test]
fn ten_thousand_crashes_and_no_conflicting_pair_is_ever_signed() {
    let crashes: u64 = std::env::var("DITTO_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let seed = std::env::var("DITTO_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1
    });
    println!("DITTO_SEED={seed}");
    let mut chance = Chance(seed);
    let power = Power(Arc::new(AtomicU64::new(u64::MAX)));
    let disk = |contents: &Arc<Mutex<Contents>>| Disk { contents: contents.clone(), power: power.clone() };
    let (store, marks) = (Arc::<Mutex<Contents>>::default(), Arc::<Mutex<Contents>>::default());
    let mut said = Said::default();
    let (mut crashed, mut lives, mut slot) = (0, 0, 100);
    let mut crashed_at = HashSet::new();
    while crashed < crashes {
        lives += 1;
        assert!(lives < 20 * crashes, "almost nothing crashes");
        let life = 1 + chance.below(LONGEST_LIFE);
        power.0.store(life, Ordering::SeqCst);
        let opened = Store::open_witnessed_on(disk(&store), Box::new(disk(&marks)), &identity(), 1 << 20);
        match opened {
            Ok(opened) => live(opened, &mut chance, &mut said, &mut slot),
            // The power went while it was opened; or it never came to be, and an operator makes it.
            Err(_) if power.is_gone() => {}
            Err(error) if said.statements == 0 => {
                let _ = error;
                *store.lock().unwrap() = Contents::default();
                *marks.lock().unwrap() = Contents::default();
            }
            Err(error) => panic!("a crash alone must not cost the journal: {error} (life {lives})"),
        }
        if power.is_gone() {
            crashed += 1;
            crashed_at.insert(life);
            store.lock().unwrap().crash(&mut chance);
            marks.lock().unwrap().crash(&mut chance);
        }
        // Most slots are spoken of in several lives.
        slot += u64::from(chance.below(4) == 0) + if chance.below(500) == 0 { STEP } else { 0 };
    }
    println!("{crashed} crashes in {lives} lives, at {} points; {} statements", crashed_at.len(), said.statements);
    assert!(crashed_at.len() >= 30, "few points were reached: {crashed_at:?}");
    assert!(said.statements > crashes / 10, "almost nothing was signed");
}

/// One life of the operator: it speaks until it is done or the power goes.
fn live(store: Store, chance: &mut Chance, said: &mut Said, slot: &mut Slot) {
    let writer = Writer::start("journal", Arc::new(store), &WriterConfig::default()).unwrap();
    let journal = Journal::over(writer);
    for _ in 0..1 + chance.below(5) {
        let about = slot.saturating_sub(chance.below(3));
        if chance.below(5) == 0 {
            let digest = B256::repeat_byte(1 + u8::try_from(chance.below(3)).unwrap());
            match futures::executor::block_on(journal.propose(about, digest)) {
                Ok(true) => said.proposal(about, digest),
                Ok(false) => {}
                Err(_) => return,
            }
            continue;
        }
        let entries: Vec<Entry> = (0..1 + chance.below(3))
            .map(|workflow| Entry {
                occurrence: Occurrence { workflow, slot: about },
                operation: B256::repeat_byte(1 + u8::try_from(chance.below(3)).unwrap()),
                verdict: match chance.below(5) {
                    0 => Verdict::Abstain,
                    1 | 2 => Verdict::Reject(Reason::Policy),
                    _ => Verdict::Approve,
                },
            })
            .collect();
        match journal.record(about, entries.clone()) {
            Ok(allowed) => {
                for (entry, verdict) in entries.iter().zip(allowed.0) {
                    said.verdict(about, entry, verdict);
                }
            }
            // Whether it is on the disk is unknown: nothing is signed.
            Err(_) => return,
        }
    }
}
