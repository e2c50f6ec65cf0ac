use async_trait::async_trait;
use memcloud_domain::{Error, FactSet, Member, Session, Space};

use super::{InMemoryEngine, State};
use crate::{LISTED_MEMBERS, SessionCursor, SessionPage, SessionRows, SessionStore, SessionsOf};

impl State {
    fn session(&self, space: &Space, name: &str) -> Option<&Session> {
        self.sessions.iter().find(|known| known.space == *space && known.name == name)
    }

    /// Creates a session if it is new, and adds members to it.
    pub(super) fn add_members(&mut self, space: &Space, name: &str, members: &[Member]) {
        let position = self.sessions.iter().position(|known| known.space == *space && known.name == name);
        let index = position.unwrap_or_else(|| {
            self.sessions.push(Session { space: space.clone(), name: name.to_owned(), members: Vec::new() });
            self.sessions.len() - 1
        });
        let session = &mut self.sessions[index];
        session.members.extend_from_slice(members);
        session.members.sort_unstable();
        session.members.dedup();
    }
}

#[async_trait]
impl SessionStore for InMemoryEngine {
    async fn session(
        &self,
        space: &Space,
        name: &str,
        most_members: usize,
    ) -> Result<Option<Session>, Error> {
        let mut session = self.state().session(space, name).cloned();
        if let Some(session) = &mut session {
            session.members.truncate(most_members);
        }
        Ok(session)
    }

    async fn members(&self, space: &Space, session: &str, names: &[String]) -> Result<Vec<Member>, Error> {
        let state = self.state();
        let members = state.session(space, session).map_or(&[][..], |session| &session.members);
        let named = |member: &&Member| names.iter().any(|name| name == member.name());
        Ok(members.iter().filter(named).cloned().collect())
    }

    async fn sessions(
        &self,
        of: &SessionsOf,
        after: Option<SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, Error> {
        let matches = |session: &Session| match of {
            SessionsOf::Everyone => true,
            SessionsOf::Space(space) => session.space == *space,
            SessionsOf::User(name) => session.users().any(|user| user == name),
            SessionsOf::Agent(name) => session.agents().any(|agent| agent == name),
        };
        let state = self.state();
        let is_hidden = |session: &Session| {
            state.spaces.get(&session.space).is_some_and(|known| known.own_name.is_some())
        };
        let is_shown = |session: &Session| matches!(of, SessionsOf::Space(_)) || !is_hidden(session);
        let numbered = (1..).map(SessionCursor).zip(&state.sessions);
        let later = numbered.filter(|(place, _)| after.is_none_or(|after| place.0 > after.0));
        let mut rows = SessionRows::new(limit);
        for (place, session) in later.filter(|(_, session)| matches(session) && is_shown(session)) {
            if !rows.add(place, session.space.clone(), session.name.clone()) {
                break;
            }
            session
                .members
                .iter()
                .take(LISTED_MEMBERS + 1)
                .for_each(|member| rows.add_member(member.clone()));
        }
        Ok(rows.into_page())
    }

    async fn remove_sessions(&self, space: &Space, names: &[String]) -> Result<bool, Error> {
        let mut state = self.state();
        let State { sessions, episodes, .. } = &mut *state;
        let is_meant = |session: &Session| session.space == *space && names.contains(&session.name);
        let has_episodes = |session: &Session| {
            let mut rows = episodes.values().map(|row| &row.episode);
            rows.any(|episode| episode.space == *space && episode.session == session.name)
        };
        sessions.retain(|session| !is_meant(session) || has_episodes(session));
        Ok(!sessions.iter().any(is_meant))
    }

    async fn remove_person(&self, space: &Space, name: &str) -> Result<bool, Error> {
        let mut state = self.state();
        if !state.spaces.contains_key(space) {
            return Ok(false);
        }
        let mut is_known = false;
        for session in state.sessions.iter_mut().filter(|session| session.space == *space) {
            let before = session.members.len();
            session.members.retain(|member| member.name() != name);
            is_known |= session.members.len() < before;
        }
        let of_organization = |session: &&Session| session.space.org == space.org;
        let mut members = state.sessions.iter().filter(of_organization).flat_map(|session| &session.members);
        let is_elsewhere = members.any(|member| member.name() == name);
        let is_of_scope = |set: &FactSet| {
            set.scope.is(space)
                || (!is_elsewhere && set.scope.project.is_none() && set.scope.org == space.org)
        };
        let removed = state.remove_sets(|set| set.owner() == Some(name) && is_of_scope(set));
        Ok(is_known || removed)
    }
}
