//! Deletes sessions, people and their episodes, in steps that are short for others.

use std::slice;

use memcloud_domain::{Error, Space};
use memcloud_ports::{EpisodesOf, delete_all};

use crate::Memory;

impl Memory {
    /// Deletes the episodes of a session or a person, and returns how many there were. See [`delete_all`].
    pub async fn delete_episodes(&self, space: &Space, of: &EpisodesOf) -> Result<u64, Error> {
        delete_all(&*self.engine.episodes, space, of).await
    }

    /// Deletes a session with its episodes and members, and returns how many episodes there were; `None` when the session is
    /// unknown. After an error the call can be repeated.
    pub async fn delete_session(&self, space: &Space, name: &str) -> Result<Option<u64>, Error> {
        if self.engine.sessions.session(space, name, 0).await?.is_none() {
            return Ok(None);
        }
        let (of, name) = (EpisodesOf::Session(name.to_owned()), name.to_owned());
        let mut deleted = self.delete_episodes(space, &of).await?;
        // Another caller may store in it meanwhile.
        while !self.engine.sessions.remove_sessions(space, slice::from_ref(&name)).await? {
            deleted += self.delete_episodes(space, &of).await?;
        }
        Ok(Some(deleted))
    }

    /// Forgets a person in a space: deletes the episodes that they produced or that were produced for them, all facts about
    /// them, and their name in sessions. Returns how many episodes there were; `None` when nothing was known of them.
    /// After an error the call can be repeated. Messages that cannot be deleted are reported when all else is gone.
    pub async fn forget_person(&self, space: &Space, name: &str) -> Result<Option<u64>, Error> {
        let deleted = match self.delete_episodes(space, &EpisodesOf::Person(name.to_owned())).await {
            Err(error) if !matches!(error, Error::Undeletable { .. }) => return Err(error),
            deleted => deleted,
        };
        let mut is_known = false;
        while self.engine.sessions.remove_person(space, name).await? {
            is_known = true;
        }
        let deleted = deleted?;
        Ok((is_known || deleted > 0).then_some(deleted))
    }
}
