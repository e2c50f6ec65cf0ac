//! Log lines that could repeat without end.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// Counts what repeats, by kind, so that it floods no log: the first is logged at once, and what follows together, with
/// its number, whenever [`rest`](Self::rest) is asked for. `Last` is what is logged of the last one. Kinds must be few.
#[derive(Debug)]
pub struct Repeats<Kind, Last>(Mutex<BTreeMap<Kind, Unlogged<Last>>>);

/// Those since the last line, and the last of them.
type Unlogged<Last> = Option<(u64, Last)>;

impl<Kind, Last> Default for Repeats<Kind, Last> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Kind, Last> Repeats<Kind, Last> {
    /// Nothing counted.
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<Kind: Ord + Copy, Last> Repeats<Kind, Last> {
    /// Counts one. Returns it if it is to be logged now.
    pub fn note(&self, kind: Kind, last: Last) -> Option<Last> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unlogged) = kinds.get_mut(&kind) else {
            kinds.insert(kind, None);
            return Some(last);
        };
        let before = unlogged.as_ref().map_or(0, |(count, _)| *count);
        *unlogged = Some((before + 1, last));
        None
    }

    /// What was counted and not logged: of each kind the number and the last. To be logged every ten seconds, and at the
    /// end. A kind of which there was none begins again.
    pub fn rest(&self) -> Vec<(Kind, u64, Last)> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unlogged = mem::take(&mut *kinds).into_iter().filter_map(|(kind, unlogged)| {
            let (count, last) = unlogged?;
            Some((kind, count, last))
        });
        let rest: Vec<_> = unlogged.collect();
        kinds.extend(rest.iter().map(|(kind, ..)| (*kind, None)));
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_at_once_and_the_rest_together() {
        let repeats = Repeats::new();
        assert_eq!(repeats.note("full", 1), Some(1));
        assert_eq!([repeats.note("full", 2), repeats.note("full", 3)], [None, None]);
        assert_eq!(repeats.note("locked", 4), Some(4), "another kind");
        assert_eq!(repeats.rest(), [("full", 2, 3)]);
        assert_eq!(repeats.note("full", 5), None, "it goes on");
        assert_eq!(repeats.note("locked", 6), Some(6), "it was over");
        assert_eq!(repeats.rest(), [("full", 1, 5)]);
        assert!(repeats.rest().is_empty());
        assert_eq!(repeats.note("full", 7), Some(7));
    }
}
