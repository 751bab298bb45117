//! Which known key was meant.

/// The candidate that is spelled most like `word`, if one is close enough to have been meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edits(word, candidate), candidate))
        // A third of the letters may be wrong; more than that is another word.
        .filter(|(edits, candidate)| *edits <= word.len().max(candidate.len()).div_ceil(3))
        .min()
        .map(|(_edits, candidate)| candidate)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key_and_another_word_finds_none() {
        assert_eq!(nearest("quue", ["queue", "workers", "overflow"]), Some("queue"));
        assert_eq!(nearest("slot-seconds", ["slot_seconds", "genesis_seconds"]), Some("slot_seconds"));
        assert_eq!(nearest("banana", ["queue", "workers", "overflow"]), None);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
    }
}
