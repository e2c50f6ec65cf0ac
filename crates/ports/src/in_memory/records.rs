use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Space};

use super::{InMemoryEngine, State};
use crate::{AGAIN_AFTER, Appended, Batch, Intent, Orphan, RecordStore};

/// What is kept of an intent. Times are in microseconds of the epoch.
pub(super) struct Noted {
    at: i64,
    withdrawn: bool,
    due: i64,
    /// How often the episodes are still to be removed from the other database.
    rounds: u8,
    ids: Vec<EpisodeId>,
}

impl State {
    /// Removes the intent because its episodes are being recorded.
    pub(super) fn settle(&mut self, intent: Intent) -> Result<(), Error> {
        match self.intents.get(&intent) {
            Some(noted) if !noted.withdrawn => {
                self.intents.remove(&intent);
                Ok(())
            }
            _ => Err(Error::Withdrawn),
        }
    }

    fn intend(&mut self, intent: Intent, at: i64, withdrawn: bool, ids: Vec<EpisodeId>) {
        self.intents.insert(intent, Noted { at, withdrawn, due: at, rounds: 2, ids });
    }
}

impl InMemoryEngine {
    fn micros(&self) -> i64 {
        self.clock.now().as_micros()
    }
}

#[async_trait]
impl RecordStore for InMemoryEngine {
    async fn memory(&self) -> Result<String, Error> {
        Ok(self.name.clone())
    }

    async fn vectors(&self, ids: &[EpisodeId]) -> Result<Vec<(EpisodeId, Vec<f16>)>, Error> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| Some((*id, state.episodes.get(id)?.vector.clone()?))).collect())
    }

    async fn intend(&self, ids: Vec<EpisodeId>) -> Result<Intent, Error> {
        let intent = Intent::new(self.clock.now());
        self.state().intend(intent, self.micros(), false, ids);
        Ok(intent)
    }

    async fn append_intended(&self, intent: Intent, batch: Batch) -> Result<Appended, Error> {
        self.state().append(batch, Some(intent), self.clock.now())
    }

    async fn withdraw(&self, intent: Intent) -> Result<bool, Error> {
        let now = self.micros();
        let mut state = self.state();
        let Some(noted) = state.intents.get_mut(&intent) else { return Ok(false) };
        if !noted.withdrawn {
            (noted.withdrawn, noted.due) = (true, now);
        }
        Ok(true)
    }

    async fn delete_noted(&self, space: &Space, ids: &[EpisodeId]) -> Result<Option<Orphan>, Error> {
        let (intent, now) = (Intent::new(self.clock.now()), self.micros());
        let mut state = self.state();
        let ids = state.delete(space, ids);
        if ids.is_empty() {
            return Ok(None);
        }
        state.intend(intent, now, true, ids.clone());
        Ok(Some(Orphan { intent, ids }))
    }

    async fn orphans(&self, older: Duration) -> Result<Vec<Orphan>, Error> {
        let now = self.micros();
        let mut state = self.state();
        let stale = |noted: &&mut Noted| !noted.withdrawn && noted.at <= now - older.as_micros() as i64;
        for noted in state.intents.values_mut().filter(stale) {
            (noted.withdrawn, noted.due) = (true, now);
        }
        let due = state.intents.iter().filter(|(_, noted)| noted.withdrawn && noted.due <= now);
        let mut due: Vec<_> = due
            .map(|(intent, noted)| (noted.due, Orphan { intent: *intent, ids: noted.ids.clone() }))
            .collect();
        due.sort_by_key(|(due, _)| *due);
        Ok(due.into_iter().map(|(_, orphan)| orphan).collect())
    }

    async fn clear(&self, intent: Intent) -> Result<(), Error> {
        let now = self.micros();
        let mut state = self.state();
        let noted = state.intents.get_mut(&intent).filter(|noted| noted.withdrawn && noted.due <= now);
        let Some(noted) = noted else { return Ok(()) };
        noted.rounds -= 1;
        noted.due = now + AGAIN_AFTER.as_micros() as i64;
        if noted.rounds == 0 {
            state.intents.remove(&intent);
        }
        Ok(())
    }
}
