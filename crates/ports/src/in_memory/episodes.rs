use async_trait::async_trait;
use memcloud_domain::{Episode, EpisodeId, Error, Purpose, Space, Timestamp};

use super::spaces::KnownSpace;
use super::{InMemoryEngine, Row, State};
use crate::{
    Appended, Batch, Counts, Cursor, DAY, EpisodeStore, EpisodesOf, Gathered, Idempotency, Intent, Prepared,
    REMEMBERED_DAYS, Selected,
};

/// A request that may come again.
pub(super) struct Request {
    at: i64,
    meaning: [u8; 32],
    ids: Vec<EpisodeId>,
}

impl State {
    /// Stores a batch, and settles the intent that it was written elsewhere with.
    pub(super) fn append(
        &mut self,
        batch: Batch,
        intent: Option<Intent>,
        now: Timestamp,
    ) -> Result<Appended, Error> {
        if let Some(ids) = batch.idempotency.map(|key| self.repeated(&key)).transpose()?.flatten() {
            return Ok(Appended::Repeated(ids));
        }
        if let Some(known) = batch.episodes.iter().find(|new| self.episodes.contains_key(&new.episode.id)) {
            let source = format!("episode {} is stored already", known.episode.id).into();
            return Err(Error::Storage { doing: "storing episodes", source });
        }
        if self.is_being_deleted(&batch.space) {
            return Err(Error::SpaceDeleting(batch.space));
        }
        if let Some(intent) = intent {
            self.settle(intent)?;
        }
        let learns = self.make_space(&batch.space, now).info.learns;
        for (name, members) in &batch.sessions {
            self.add_members(&batch.space, name, members);
        }
        if let Some(idempotency) = &batch.idempotency {
            self.remember(idempotency, &batch.episodes);
        }
        for mut prepared in batch.episodes {
            prepared.fact_targets.retain(|_| learns);
            self.insert(prepared);
        }
        Ok(Appended::Stored)
    }

    fn insert(&mut self, Prepared { episode, vector, analysis, fact_targets }: Prepared) {
        self.add_members(&episode.space, &episode.session, &[]);
        let Some(known) = self.spaces.get_mut(&episode.space) else { return };
        let sequence = known.history.advance();
        known.history.changes.insert(sequence, episode.id);
        for target in fact_targets {
            let target = self.make_target(&target);
            self.queue.add(&episode, target);
        }
        self.episodes.insert(episode.id, Row { episode, sequence, vector, analysis });
    }

    fn remember(&mut self, idempotency: &Idempotency, episodes: &[Prepared]) {
        let at = episodes.first().map_or(0, |first| first.episode.ingested_at.as_micros());
        let ids = episodes.iter().map(|prepared| prepared.episode.id).collect();
        let before = |limit| self.requests.values().map(|known| known.at).filter(|at| *at < limit).max();
        let mut days = std::iter::successors(before(i64::MAX), |at| before(at - DAY + 1));
        let oldest = days.nth(REMEMBERED_DAYS as usize);
        self.requests.retain(|_, known| oldest.is_none_or(|oldest| known.at >= oldest));
        self.requests.insert(idempotency.key, Request { at, meaning: idempotency.request, ids });
    }

    fn repeated(&self, idempotency: &Idempotency) -> Result<Option<Vec<EpisodeId>>, Error> {
        let known = self.requests.get(&idempotency.key);
        let Some(known) = known.filter(|known| known.ids.iter().any(|id| self.episodes.contains_key(id)))
        else {
            return Ok(None);
        };
        if known.meaning != idempotency.request {
            return Err(Error::IdempotencyConflict);
        }
        Ok(Some(known.ids.clone()))
    }

    /// The episode with this id, if it exists in this space.
    pub(super) fn episode(&self, space: &Space, id: EpisodeId) -> Option<&Episode> {
        self.episodes.get(&id).map(|row| &row.episode).filter(|episode| episode.space == *space)
    }

    /// Deletes episodes with everything that rests on them, and returns their ids in the order of storing.
    pub(super) fn delete(&mut self, space: &Space, ids: &[EpisodeId]) -> Vec<EpisodeId> {
        let deleted = self.in_order(space, |episode| ids.contains(&episode.id));
        for id in &deleted {
            let Some(row) = self.episodes.remove(id) else { continue };
            if let Some(KnownSpace { history, .. }) = self.spaces.get_mut(space) {
                history.changes.remove(&row.sequence);
                let removed = history.advance();
                history.removals.insert(removed, *id);
            }
            self.queue.forget(*id);
            self.forget_citations(*id);
        }
        if let Some(KnownSpace { history, .. }) = self.spaces.get_mut(space) {
            history.prune();
        }
        deleted
    }

    /// The ids of those episodes of a space, in the order of storing.
    fn in_order(&self, space: &Space, is_wanted: impl Fn(&Episode) -> bool) -> Vec<EpisodeId> {
        let wanted = |row: &&Row| row.episode.space == *space && is_wanted(&row.episode);
        let rows = self.episodes.values().filter(wanted);
        let mut found: Vec<_> = rows.map(|row| (row.sequence, row.episode.id)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Episodes of a space, or of a session in it, by time and id.
    fn by_time(&self, space: &Space, session: Option<&str>) -> Vec<&Episode> {
        let all = self.episodes.values().map(|row| &row.episode);
        let of_session = |episode: &&Episode| session.is_none_or(|name| episode.session == name);
        let mut found: Vec<&Episode> = all.filter(|e| e.space == *space).filter(of_session).collect();
        found.sort_unstable_by_key(|episode| (episode.created_at, episode.id));
        found
    }

    /// The episodes that searches find and that have no vector, oldest first.
    pub(super) fn without_vector(&self) -> Vec<&Episode> {
        let lacks = |row: &&Row| row.vector.is_none() && row.episode.purpose == Purpose::Recall;
        let mut found: Vec<&Episode> = self.episodes.values().filter(lacks).map(|row| &row.episode).collect();
        found.sort_unstable_by_key(|episode| (episode.ingested_at, episode.id));
        found
    }
}

/// Copies of these episodes, until they are large together.
pub(super) fn gathered<'a>(episodes: impl Iterator<Item = &'a Episode>) -> Vec<Episode> {
    let mut gathered = Gathered::default();
    for episode in episodes {
        if !gathered.add(episode.clone(), episode.size()) {
            break;
        }
    }
    gathered.into_rows()
}

#[async_trait]
impl EpisodeStore for InMemoryEngine {
    async fn append(&self, batch: Batch) -> Result<Appended, Error> {
        self.state().append(batch, None, self.clock.now())
    }

    async fn repeated(&self, idempotency: Idempotency) -> Result<Option<Vec<EpisodeId>>, Error> {
        self.state().repeated(&idempotency)
    }

    async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error> {
        let state = self.state();
        Ok(gathered(ids.iter().filter_map(|id| state.episode(space, *id))))
    }

    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error> {
        let state = self.state();
        let mut found = state.by_time(space, Some(session));
        found.retain(|episode| episode.purpose != Purpose::ProfileOnly);
        let mut newest = gathered(found.into_iter().rev().take(limit));
        newest.reverse();
        Ok(newest)
    }

    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error> {
        let state = self.state();
        let follows = |episode: &&Episode| {
            after.is_none_or(|cursor| {
                (episode.created_at.as_micros(), episode.id) > (cursor.created_at, cursor.id)
            })
        };
        Ok(gathered(state.by_time(space, session).into_iter().filter(follows).take(limit)))
    }

    async fn episode(&self, space: &Space, id: EpisodeId) -> Result<Option<Episode>, Error> {
        Ok(self.episodes(space, &[id]).await?.pop())
    }

    async fn select(&self, space: &Space, of: &EpisodesOf) -> Result<Selected, Error> {
        let ids = self.state().in_order(space, |episode| match of {
            EpisodesOf::Session(name) => episode.session == *name,
            EpisodesOf::Person(name) => [&episode.producer, &episode.produced_for].contains(&name),
        });
        Ok(Selected { ids, unreadable: 0 })
    }

    async fn delete(&self, space: &Space, ids: &[EpisodeId]) -> Result<u64, Error> {
        Ok(self.state().delete(space, ids).len() as u64)
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let state = self.state();
        Ok(Counts {
            spaces: state.spaces.len() as u64,
            sessions: state.sessions.len() as u64,
            episodes: state.episodes.len() as u64,
            without_vector: state.without_vector().len() as u64,
        })
    }
}
