//! Whether an answer says anything that the memory does not hold already.

use std::collections::HashSet;

use crate::text::hash::fnv64;
use crate::text::words::{stem, term_id, words};

/// So many words in a row are a quotation.
const RUN: usize = 4;
/// An answer is an echo when so much of it is quotations.
const SHARE: f32 = 0.7;

/// So much of a long answer is looked at.
const ANSWER_BYTES: usize = 16 << 10;

/// Whether the answer is nearly nothing but what was recalled for it. Stored as a memory of its own it would come back
/// beside what it repeats, and crowd out what else there is.
pub(crate) fn is_echo<'a>(answer: &str, recalled: impl Iterator<Item = &'a str>) -> bool {
    let said = stems(&answer[..answer.floor_char_boundary(ANSWER_BYTES)]);
    if said.is_empty() {
        return false;
    }
    let mut runs: HashSet<u64> = HashSet::new();
    for text in recalled {
        let held = stems(text);
        // A short memory counts when all of it comes back.
        let run = RUN.min(held.len()).max(1);
        runs.extend(held.windows(run).map(hash));
    }
    let mut quoted = vec![false; said.len()];
    for run in 1..=RUN {
        for (at, window) in said.windows(run).enumerate() {
            if runs.contains(&hash(window)) {
                quoted[at..at + run].fill(true);
            }
        }
    }
    let share = quoted.iter().filter(|quoted| **quoted).count() as f32 / said.len() as f32;
    share >= SHARE
}

fn hash(run: &[u32]) -> u64 {
    fnv64(run.iter().copied())
}

/// The stems of a text, as their hashes.
fn stems(text: &str) -> Vec<u32> {
    words(text).map(|word| term_id(&stem(&word.plain))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: [&str; 2] = ["The keys hang in the hall, behind the green door.", "Yes"];

    #[test]
    fn knows_what_comes_back() {
        for echo in [
            "The keys hang in the hall, behind the green door.",
            "the keys hang in the hall",
            "\"The keys hang in the hall behind the green door.\" (Ann)",
            "yes",
        ] {
            assert!(is_echo(echo, HELD.into_iter()), "{echo}");
        }
    }

    #[test]
    fn lets_through_what_says_more() {
        for new in [
            "Look in the hall.",
            "Yes, but Bob took them to work with him this morning",
            "The keys hang in the hall, but you should ask Bob first, since he borrowed them and may have lost one",
            "No",
            "",
        ] {
            assert!(!is_echo(new, HELD.into_iter()), "{new}");
        }
        assert!(!is_echo("Anything", std::iter::empty()));
    }
}
