use async_trait::async_trait;
use memcloud_domain::{Error, Member, Session, Space};

use super::{InMemoryEngine, State};
use crate::{SessionStore, SessionsOf};

impl State {
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
    async fn session(&self, space: &Space, name: &str) -> Result<Option<Session>, Error> {
        let state = self.state();
        Ok(state.sessions.iter().find(|known| known.space == *space && known.name == name).cloned())
    }

    async fn sessions(&self, of: SessionsOf) -> Result<Vec<Session>, Error> {
        let matches = |session: &&Session| match &of {
            SessionsOf::Everyone => true,
            SessionsOf::Space(space) => session.space == *space,
            SessionsOf::User(name) => session.users().any(|user| user == name),
            SessionsOf::Agent(name) => session.agents().any(|agent| agent == name),
        };
        let state = self.state();
        let is_hidden = |session: &&Session| {
            state.spaces.get(&session.space).is_some_and(|known| known.own_name.is_some())
        };
        let shown = |session: &&Session| matches!(of, SessionsOf::Space(_)) || !is_hidden(session);
        Ok(state.sessions.iter().filter(matches).filter(shown).cloned().collect())
    }
}
