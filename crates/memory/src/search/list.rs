//! Listings: the episodes of a space in the order in which they happened.

use memcloud_domain::{Attribute, Episode, EpisodeId, Error, Filter, Space};
use memcloud_ports::Cursor;

use crate::search::filter::candidates;
use crate::search::snapshot::Snapshot;
use crate::search::{STEP, Search};

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The space.
    pub space: Space,
    /// One session; all of the space without.
    pub session: Option<String>,
    /// Which episodes are listed.
    pub filter: Filter,
    /// The last episode of the page before; `None` for the first page.
    pub after: Option<Cursor>,
    /// The most episodes of the page.
    pub limit: usize,
}

impl Search {
    /// A page of a listing. One without a filter is read from the engine without the index.
    pub(crate) async fn list(&self, query: &ListQuery) -> Result<Vec<Episode>, Error> {
        if query.filter.is_empty() {
            let session = query.session.as_deref();
            return self.engine.episodes.page(&query.space, session, query.after, query.limit).await;
        }
        let ids = self.candidates(query).await?;
        let mut page = Vec::new();
        for ids in ids.chunks(STEP.min(query.limit.max(1))) {
            let wanted = query.limit - page.len();
            if wanted == 0 {
                break;
            }
            let episodes = self.engine.episodes.episodes(&query.space, ids).await?;
            page.extend(episodes.into_iter().filter(|episode| query.filter.matches(episode)).take(wanted));
        }
        Ok(page)
    }

    /// The episodes that may match, in the order of the listing.
    async fn candidates(&self, query: &ListQuery) -> Result<Vec<EpisodeId>, Error> {
        let session = query.session.as_ref().map(|name| Filter::equal(Attribute::Session, name.as_str()));
        let filter = Filter::All(session.into_iter().chain([query.filter.clone()]).collect());
        let index = Snapshot::take(&self.indexes, &self.engine, &query.space).await?.read().await?;
        let after = query.after.map(|cursor| (cursor.created_at, cursor.id));
        let mut listed = Vec::new();
        for table in index.tables() {
            let rows = candidates(table, &filter).rows.into_iter().map(|row| row as usize);
            let places = rows.map(|row| (table.created_at[row], table.ids[row]));
            listed.extend(places.filter(|&place| after.is_none_or(|after| place > after)));
        }
        listed.sort_unstable();
        Ok(listed.into_iter().map(|(_, id)| id).collect())
    }
}
