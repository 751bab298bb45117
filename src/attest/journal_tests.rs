#![allow(clippy::unwrap_used)]
use super::*;
use crate::attest::interchange::{self, InterchangeError};
use ditto_core::bls::SecretKey;
use ditto_core::verdict::Reason;
use proptest::prelude::*;

const OCCURRENCE: Occurrence = Occurrence { workflow: 3, slot: 9 };

fn identity() -> StoreIdentity {
    Journal::identity("test", 31_337, &SecretKey::derive(&[1; 32]).unwrap().public())
}

fn open(directory: &Path) -> Journal {
    Journal::open(directory, &identity(), &WriterConfig::default()).unwrap()
}

/// A journal that may sign from slot 2 on.
fn made() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Journal::init(directory.path(), &identity(), 0).unwrap(), 2);
    directory
}

fn refusal(directory: &Path) -> JournalError {
    Journal::open(directory, &identity(), &WriterConfig::default()).map(|_| ()).unwrap_err()
}

fn distrust(directory: &Path) -> Distrust {
    match refusal(directory) {
        JournalError::Distrusted { why, .. } => why,
        other => panic!("{other}"),
    }
}

fn propose(journal: &Journal, slot: Slot, digest: B256) -> bool {
    futures::executor::block_on(journal.propose(slot, digest)).unwrap()
}

fn say(journal: &Journal, operation: u8, verdict: Verdict) -> Verdict {
    let entry = Entry { occurrence: OCCURRENCE, operation: B256::repeat_byte(operation), verdict };
    journal.record(9, vec![entry]).unwrap().0[0]
}

#[test]
fn what_was_said_binds_after_a_restart() {
    let avoided = || ditto_core::telemetry::measured("ditto_operator_conflicts_avoided_total", &[]);
    let before = avoided();
    let directory = made();
    let journal = open(directory.path());
    assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve);
    assert_eq!(say(&journal, 2, Verdict::Reject(Reason::Policy)), Verdict::Reject(Reason::Policy));
    drop(journal);
    let journal = open(directory.path());
    assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve, "saying it again is no conflict");
    assert_eq!(say(&journal, 3, Verdict::Approve), Verdict::Abstain, "a second operation");
    assert_eq!(say(&journal, 1, Verdict::Reject(Reason::Policy)), Verdict::Abstain, "approved before");
    assert_eq!(say(&journal, 2, Verdict::Approve), Verdict::Abstain, "rejected before");
    assert!(avoided() >= before + 3.0, "each is counted");
}

#[test]
fn one_proposal_per_slot_and_none_where_memory_ends() {
    let directory = made();
    let journal = open(directory.path());
    assert!(propose(&journal, 5, B256::repeat_byte(1)));
    drop(journal);
    let journal = open(directory.path());
    assert!(propose(&journal, 5, B256::repeat_byte(1)), "the same again");
    assert!(!propose(&journal, 5, B256::repeat_byte(2)));
    assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve);
    assert!(propose(&journal, KEPT + STEP, B256::repeat_byte(3)));
    assert!(!propose(&journal, 5, B256::repeat_byte(1)), "what was said there is forgotten");
    assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Abstain);
}

#[test]
fn a_journal_that_is_missing_replaced_or_older_is_noticed_and_nothing_is_signed() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(refusal(empty.path()), JournalError::Absent { .. }));
    assert!(refusal(empty.path()).to_string().contains("journal init"));

    let directory = made();
    let file = Journal::path(directory.path());
    let marks = directory.path().join("journal.redb.marks");
    assert!(matches!(
        Journal::init(directory.path(), &identity(), 0),
        Err(JournalError::Store(StoreError::Exists { .. }))
    ));
    drop(open(directory.path()));
    let older = std::fs::read(&file).unwrap();
    let older_marks = std::fs::read(&marks).unwrap();
    let journal = open(directory.path());
    assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve);
    assert_eq!(say(&journal, 2, Verdict::Reject(Reason::Policy)), Verdict::Reject(Reason::Policy));
    drop(journal);
    let (good, good_marks) = (std::fs::read(&file).unwrap(), std::fs::read(&marks).unwrap());

    // A backup from before those two.
    std::fs::write(&file, &older).unwrap();
    assert!(matches!(distrust(directory.path()), Distrust::RolledBack { .. }));
    assert!(refusal(directory.path()).to_string().contains("--replace"));
    // Marks from before, with the journal as it is.
    std::fs::write(&file, &good).unwrap();
    std::fs::write(&marks, &older_marks).unwrap();
    assert!(matches!(distrust(directory.path()), Distrust::MarksRolledBack { .. }));
    std::fs::remove_file(&marks).unwrap();
    assert_eq!(distrust(directory.path()), Distrust::MarksLost);
    std::fs::write(&marks, &good_marks).unwrap();
    drop(open(directory.path()));
    // Another journal of the same key.
    let other = made();
    drop(open(other.path()));
    std::fs::copy(Journal::path(other.path()), &file).unwrap();
    assert_eq!(distrust(directory.path()), Distrust::Foreign);
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(distrust(directory.path()), Distrust::Lost { .. }));
    assert!(Journal::init(directory.path(), &identity(), 0).is_err(), "not without saying so");

    // An operator says otherwise: what may have been signed is not signed again.
    let (floor, moved) = Journal::replace(directory.path(), &identity(), 9, 77).unwrap();
    assert_eq!((floor, moved.len()), (11, 1));
    let journal = open(directory.path());
    assert_eq!(say(&journal, 3, Verdict::Approve), Verdict::Abstain, "slot 9 is before its time");
    assert!(!propose(&journal, 10, B256::repeat_byte(1)));
    assert!(propose(&journal, 11, B256::repeat_byte(1)));
}

/// redb keeps no sum of the header byte that says which of two commits counts; the marks do.
#[test]
fn no_damaged_header_byte_passes_for_an_older_state() {
    let directory = made();
    let file = Journal::path(directory.path());
    let journal = open(directory.path());
    for operation in 1..=8 {
        say(&journal, operation, Verdict::Reject(Reason::Policy));
    }
    drop(journal);
    let good = std::fs::read(&file).unwrap();
    let mut noticed = 0;
    for flip in [1u8, 2, 4, 8, 16, 32, 64, 128, 255] {
        let mut bytes = good.clone();
        bytes[9] ^= flip;
        std::fs::write(&file, &bytes).unwrap();
        match Journal::open(directory.path(), &identity(), &WriterConfig::default()) {
            Ok(journal) => assert_eq!(say(&journal, 8, Verdict::Approve), Verdict::Abstain, "flip {flip}"),
            Err(_) => noticed += 1,
        }
        std::fs::write(&file, &good).unwrap();
        let marks = directory.path().join("journal.redb.marks");
        // What the opened one committed is undone, marks and all.
        if flip == 1 {
            std::fs::copy(&marks, directory.path().join("kept")).unwrap();
        }
        std::fs::copy(directory.path().join("kept"), &marks).unwrap();
    }
    assert!(noticed > 0, "no flip of that byte was noticed: the test looks at the wrong byte");
}

#[test]
fn a_journal_moves_to_another_server_and_marks_never_sink() {
    let (old, new) = (made(), tempfile::tempdir().unwrap());
    let journal = open(old.path());
    assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve);
    assert_eq!(say(&journal, 2, Verdict::Reject(Reason::Policy)), Verdict::Reject(Reason::Policy));
    assert!(propose(&journal, 9, B256::repeat_byte(5)));
    drop(journal);
    let exported = interchange::export(old.path(), &identity(), true).unwrap();
    assert!(matches!(refusal(old.path()), JournalError::Retired { .. }), "it signs there no more");
    let text = serde_json::to_string_pretty(&exported).unwrap();
    let read = interchange::parse(&text).unwrap();
    assert_eq!(read, exported);
    let imported = interchange::import(new.path(), &identity(), &read).unwrap();
    assert_eq!((imported.verdicts, imported.proposals, imported.sealed), (1, 1, 0));
    let journal = open(new.path());
    assert_eq!(say(&journal, 1, Verdict::Approve), Verdict::Approve, "the same again");
    assert_eq!(say(&journal, 3, Verdict::Approve), Verdict::Abstain);
    assert_eq!(say(&journal, 2, Verdict::Approve), Verdict::Abstain);
    assert!(!propose(&journal, 9, B256::repeat_byte(6)));
    // Forward, so that the floor rises; then the old file is imported again.
    assert!(propose(&journal, KEPT + 2 * STEP, B256::repeat_byte(7)));
    drop(journal);
    let imported = interchange::import(new.path(), &identity(), &read).unwrap();
    assert_eq!((imported.verdicts, imported.proposals), (0, 0), "below the floor nothing is remembered");
    assert_eq!(imported.floor, 2 * STEP);
    let journal = open(new.path());
    assert!(!propose(&journal, 9, B256::repeat_byte(5)), "the floor did not sink");
    drop(journal);

    let stranger = Journal::identity("other", 1, &SecretKey::derive(&[1; 32]).unwrap().public());
    let refused = interchange::import(tempfile::tempdir().unwrap().path(), &stranger, &read).unwrap_err();
    assert!(matches!(refused, InterchangeError::Foreign { .. }), "{refused}");
    for hostile in ["", "{}", "[]", &text.replace("\"3\"", "\"x\""), &text.replace("\"version\": 1", "\"version\": 9")]
    {
        assert!(interchange::parse(hostile).is_err(), "{hostile}");
    }
}

#[test]
fn journals_that_contradict_each_other_say_nothing_more() {
    let (one, two) = (made(), made());
    let (a, b) = (open(one.path()), open(two.path()));
    assert_eq!(say(&a, 1, Verdict::Approve), Verdict::Approve);
    assert_eq!(say(&b, 2, Verdict::Approve), Verdict::Approve);
    drop((a, b));
    let exported = interchange::export(two.path(), &identity(), false).unwrap();
    assert_eq!(interchange::import(one.path(), &identity(), &exported).unwrap().sealed, 1);
    let merged = open(one.path());
    for operation in [1, 2, 3] {
        assert_eq!(say(&merged, operation, Verdict::Approve), Verdict::Abstain);
        assert_eq!(say(&merged, operation, Verdict::Reject(Reason::Policy)), Verdict::Abstain);
    }
}

proptest! {
    #[test]
    fn no_order_of_verdicts_makes_a_conflict(said in proptest::collection::vec((1u8..5, 0u8..3), 1..40)) {
        let mut record = Record::default();
        let (mut approved, mut rejected) = (Vec::new(), Vec::new());
        for (operation, verdict) in said {
            let operation = B256::repeat_byte(operation);
            let verdict = [Verdict::Approve, Verdict::Reject(Reason::Threw), Verdict::Abstain][usize::from(verdict)];
            let mut reread = Record::read(&record.bytes());
            prop_assert_eq!(&reread, &record);
            match reread.say(operation, verdict) {
                Verdict::Approve => approved.push(operation),
                Verdict::Reject(_) => rejected.push(operation),
                Verdict::Abstain => {}
            }
            record = reread;
        }
        approved.dedup();
        prop_assert!(approved.len() <= 1, "two operations approved");
        prop_assert!(!rejected.iter().any(|hash| approved.contains(hash)), "approved and rejected");
    }
}
