use std::collections::BTreeMap;

use async_trait::async_trait;
use memcloud_domain::{EpisodeId, Error, Space};

use super::{InMemoryEngine, Row, State};
use crate::{Change, ChangeKind, Gathered, History, IndexRow, Position, Sequence, pruned_up_to};

/// The changes of one space that still matter.
#[derive(Default)]
pub(super) struct SpaceHistory {
    pub(super) head: Sequence,
    pub(super) changes: BTreeMap<Sequence, EpisodeId>,
    pub(super) removals: BTreeMap<Sequence, EpisodeId>,
    pub(super) pruned: Sequence,
}

impl SpaceHistory {
    /// Takes the next sequence number.
    pub(super) fn advance(&mut self) -> Sequence {
        self.head += 1;
        self.head
    }

    /// Forgets old removals.
    pub(super) fn prune(&mut self) {
        self.pruned = self.pruned.max(pruned_up_to(self.head, self.changes.len() as u64));
        self.removals.retain(|sequence, _| *sequence > self.pruned);
    }
}

impl State {
    fn change(&self, sequence: Sequence, id: EpisodeId) -> Change {
        let kind = match self.episodes.get(&id) {
            None => ChangeKind::Removed,
            Some(row) => ChangeKind::Put(Box::new(row.for_ranking())),
        };
        Change { sequence, id, kind }
    }
}

impl Row {
    fn for_ranking(&self) -> IndexRow {
        let episode = &self.episode;
        IndexRow {
            session: episode.session.clone(),
            producer: episode.producer.clone(),
            produced_for: episode.produced_for.clone(),
            kind: episode.kind.clone(),
            purpose: episode.purpose,
            created_at: episode.created_at.as_micros(),
            vector: self.vector.clone(),
            analysis: self.analysis.clone(),
        }
    }
}

#[async_trait]
impl History for InMemoryEngine {
    async fn head(&self, space: &Space) -> Result<Sequence, Error> {
        Ok(self.state().spaces.get(space).map_or(0, |known| known.history.head))
    }

    async fn changes(
        &self,
        space: &Space,
        after: Position,
        limit: usize,
    ) -> Result<Option<Vec<Change>>, Error> {
        let state = self.state();
        let Some(known) = state.spaces.get(space) else { return Ok(Some(Vec::new())) };
        let history = &known.history;
        if after.removals < history.pruned {
            return Ok(None);
        }
        let mut later: BTreeMap<_, _> = history.changes.range(after.changes + 1..).collect();
        later.extend(history.removals.range(after.removals + 1..));
        let changes = later.into_iter().map(|(sequence, id)| Ok(state.change(*sequence, *id))).take(limit);
        Gathered::from_rows(changes, Change::size).map(Some)
    }

    async fn set_analyses(&self, analyses: Vec<(EpisodeId, Vec<u8>)>) -> Result<(), Error> {
        let mut state = self.state();
        for (id, analysis) in analyses {
            if let Some(row) = state.episodes.get_mut(&id) {
                row.analysis = analysis;
            }
        }
        Ok(())
    }
}
