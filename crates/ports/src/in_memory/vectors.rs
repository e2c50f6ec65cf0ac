use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error};

use super::episodes::gathered;
use super::spaces::KnownSpace;
use super::{InMemoryEngine, State};
use crate::VectorStore;

impl State {
    fn set_vector(&mut self, id: EpisodeId, vector: Vec<f16>) {
        let Some(row) = self.episodes.get_mut(&id) else { return };
        let Some(KnownSpace { history, .. }) = self.spaces.get_mut(&row.episode.space) else { return };
        history.changes.remove(&row.sequence);
        row.sequence = history.advance();
        history.changes.insert(row.sequence, id);
        row.vector = Some(vector);
    }
}

#[async_trait]
impl VectorStore for InMemoryEngine {
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error> {
        let mut state = self.state();
        let stored = state.vector_space.get_or_insert_with(|| running.to_owned());
        if *stored == running {
            Ok(())
        } else {
            Err(Error::OtherVectorSpace { stored: stored.clone(), running: running.into() })
        }
    }

    async fn vector_space(&self) -> Result<Option<String>, Error> {
        Ok(self.state().vector_space.clone())
    }

    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error> {
        Ok(gathered(self.state().without_vector().into_iter().take(limit)))
    }

    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error> {
        let mut state = self.state();
        for (id, vector) in vectors {
            state.set_vector(id, vector);
        }
        Ok(())
    }
}
