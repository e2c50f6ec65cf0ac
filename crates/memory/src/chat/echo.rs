//! Echoes: answers that only repeat what was recalled for them.

use std::collections::HashSet;

use crate::text::hash::fnv64;
use crate::text::terms::{stem, term_id};
use crate::text::tokens::tokens;

/// This many words in a row are a quotation.
const RUN: usize = 4;
/// An answer is an echo when this share of it is quotations.
const SHARE: f32 = 0.7;

/// How much of a long answer is checked.
const ANSWER_BYTES: usize = 16 << 10;

/// Whether the answer consists almost only of quotations from what was recalled for it. Stored as a memory of its own, it
/// would be found together with what it repeats and crowd out other memories.
pub(crate) fn is_echo<'a>(answer: &str, recalled: impl Iterator<Item = &'a str>) -> bool {
    let answer = stems(&answer[..answer.floor_char_boundary(ANSWER_BYTES)]);
    if answer.is_empty() {
        return false;
    }
    let mut runs: HashSet<u64> = HashSet::new();
    for text in recalled {
        let memory = stems(text);
        // A memory shorter than a run counts when the answer quotes all of it.
        let run = RUN.min(memory.len()).max(1);
        runs.extend(memory.windows(run).map(hash));
    }
    let mut quoted = vec![false; answer.len()];
    for run in 1..=RUN {
        for (at, window) in answer.windows(run).enumerate() {
            if runs.contains(&hash(window)) {
                quoted[at..at + run].fill(true);
            }
        }
    }
    let share = quoted.iter().filter(|quoted| **quoted).count() as f32 / answer.len() as f32;
    share >= SHARE
}

fn hash(run: &[u32]) -> u64 {
    fnv64(run.iter().copied())
}

/// The hashes of the stems of a text.
fn stems(text: &str) -> Vec<u32> {
    tokens(text).map(|token| term_id(&stem(&token.plain))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORIES: [&str; 2] = ["The keys hang in the hall, behind the green door.", "Yes"];

    #[test]
    fn quotations_are_echoes() {
        for echo in [
            "The keys hang in the hall, behind the green door.",
            "the keys hang in the hall",
            "\"The keys hang in the hall behind the green door.\" (Ann)",
            "yes",
        ] {
            assert!(is_echo(echo, MEMORIES.into_iter()), "{echo}");
        }
    }

    #[test]
    fn answers_that_add_something_are_not_echoes() {
        for new in [
            "Look in the hall.",
            "Yes, but Bob took them to work with him this morning",
            "The keys hang in the hall, but you should ask Bob first, since he borrowed them and may have lost one",
            "No",
            "",
        ] {
            assert!(!is_echo(new, MEMORIES.into_iter()), "{new}");
        }
        assert!(!is_echo("Anything", std::iter::empty()));
    }
}
