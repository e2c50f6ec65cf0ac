use async_trait::async_trait;
use memcloud_domain::{Error, Space, SpaceChanges, SpaceCounts, SpaceInfo, SpaceState, Timestamp};

use super::history::SpaceHistory;
use super::{InMemoryEngine, State};
use crate::{LIFE_BITS, SpaceStore, unique_id};

/// A space and its history.
pub(super) struct KnownSpace {
    pub(super) info: SpaceInfo,
    pub(super) history: SpaceHistory,
    /// The name that a space had before it got a hidden one.
    pub(super) own_name: Option<Space>,
}

impl KnownSpace {
    /// What is shown of it, under its own name.
    fn shown(&self) -> SpaceInfo {
        let space = self.own_name.as_ref().unwrap_or(&self.info.space).clone();
        SpaceInfo { space, ..self.info.clone() }
    }
}

impl State {
    /// A space, created when it is new.
    pub(super) fn make_space(&mut self, space: &Space, now: Timestamp) -> &KnownSpace {
        let head = self.lives << LIFE_BITS;
        self.spaces.entry(space.clone()).or_insert_with(|| KnownSpace {
            info: SpaceInfo {
                space: space.clone(),
                created_at: Some(now),
                description: String::new(),
                learns: true,
                state: SpaceState::Active,
            },
            history: SpaceHistory { head, ..SpaceHistory::default() },
            own_name: None,
        })
    }

    pub(super) fn is_being_deleted(&self, space: &Space) -> bool {
        self.spaces.values().any(|known| known.own_name.as_ref() == Some(space))
    }

    fn hide(&mut self, mut known: KnownSpace, hidden: &Space) {
        let own = std::mem::replace(&mut known.info.space, hidden.clone());
        (known.info.state, known.info.description) = (SpaceState::Deleting, String::new());
        self.queue.forget_space(&own);
        let sessions = self.sessions.iter_mut().map(|session| &mut session.space);
        let episodes = self.episodes.values_mut().map(|row| &mut row.episode.space);
        for space in sessions.chain(episodes).filter(|space| **space == own) {
            space.clone_from(hidden);
        }
        let scopes = self.facts.values_mut().map(|known| &mut known.fact.target.set.scope);
        for scope in scopes.filter(|scope| scope.is(&own)) {
            *scope = hidden.into();
        }
        self.catalog.rename_space(&own, hidden);
        known.own_name = Some(own);
        self.spaces.insert(hidden.clone(), known);
    }

    fn count(&self, space: &Space) -> SpaceCounts {
        let sessions = self.sessions.iter().filter(|session| session.space == *space).count();
        let episodes = self.episodes.values().filter(|row| row.episode.space == *space).count();
        let facts = self.facts.values().filter(|known| known.fact.target.set.scope.is(space)).count();
        SpaceCounts { sessions: sessions as u64, episodes: episodes as u64, facts: facts as u64 }
    }
}

#[async_trait]
impl SpaceStore for InMemoryEngine {
    async fn spaces(&self, after: Option<&Space>, limit: usize) -> Result<Vec<SpaceInfo>, Error> {
        let mut spaces: Vec<SpaceInfo> = self.state().spaces.values().map(KnownSpace::shown).collect();
        spaces.sort_unstable_by(|a, b| a.space.cmp(&b.space));
        Ok(spaces
            .into_iter()
            .filter(|info| after.is_none_or(|after| info.space > *after))
            .take(limit)
            .collect())
    }

    async fn describe_space(&self, space: &Space) -> Result<Option<(SpaceInfo, SpaceCounts)>, Error> {
        let state = self.state();
        let known = state.spaces.values().map(KnownSpace::shown).find(|info| info.space == *space);
        // Under its own name a hidden space holds nothing.
        Ok(known.map(|info| (info, state.count(space))))
    }

    async fn configure_space(&self, space: &Space, changes: SpaceChanges) -> Result<bool, Error> {
        let mut state = self.state();
        let Some(known) = state.spaces.get_mut(space) else { return Ok(false) };
        let SpaceChanges { description, learns } = changes;
        known.info.description = description.unwrap_or_else(|| std::mem::take(&mut known.info.description));
        known.info.learns = learns.unwrap_or(known.info.learns);
        Ok(true)
    }

    async fn put_space(&self, space: &SpaceInfo) -> Result<(), Error> {
        let mut state = self.state();
        if state.is_being_deleted(&space.space) {
            return Err(Error::SpaceDeleting(space.space.clone()));
        }
        state.make_space(&space.space, self.clock.now());
        if let Some(KnownSpace { info, .. }) = state.spaces.get_mut(&space.space) {
            info.created_at = space
                .created_at
                .map(|at| info.created_at.map_or(at, |known| known.min(at)))
                .or(info.created_at);
            (info.description, info.learns) = (space.description.clone(), space.learns);
        }
        Ok(())
    }

    async fn begin_space_deletion(&self, space: &Space) -> Result<bool, Error> {
        let mut state = self.state();
        let Some(known) = state.spaces.remove(space) else { return Ok(state.is_being_deleted(space)) };
        let hidden = Space { org: String::new(), project: unique_id(self.clock.now()).to_string() };
        state.hide(known, &hidden);
        Ok(true)
    }

    async fn hidden_spaces(&self) -> Result<Vec<Space>, Error> {
        let state = self.state();
        Ok(state
            .spaces
            .values()
            .filter(|known| known.own_name.is_some())
            .map(|known| known.info.space.clone())
            .collect())
    }

    async fn remove_space(&self, hidden: &Space) -> Result<(), Error> {
        let mut state = self.state();
        if state.count(hidden).episodes > 0 {
            let source = "it still has episodes".into();
            return Err(Error::Storage { doing: "removing a space", source });
        }
        if state.spaces.get(hidden).is_none_or(|known| known.own_name.is_none()) {
            return Ok(());
        }
        state.spaces.remove(hidden);
        state.sessions.retain(|session| session.space != *hidden);
        state.facts.retain(|_, known| !known.fact.target.set.scope.is(hidden));
        state.catalog.remove_space(hidden);
        state.lives += 1;
        Ok(())
    }
}
