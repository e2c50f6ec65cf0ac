//! Listings: the episodes of a space in the order in which they happened.

use memcloud_domain::{Attribute, Episode, EpisodeId, Error, Filter, Reservation, Space};
use memcloud_ports::{Cursor, Parts};

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

/// A page of a listing.
#[derive(Debug)]
pub struct ListedPage {
    /// The episodes. Fewer than the limit when they are large together.
    pub episodes: Vec<Episode>,
    /// Whether more follow.
    pub more: bool,
    /// What the episodes take of the account of requests and answers.
    pub held: Reservation,
}

/// A page while it is read.
struct Filling {
    page: ListedPage,
    limit: usize,
    bytes: usize,
    refused: Result<(), Error>,
}

impl Filling {
    /// Adds an episode, and says whether the page has room for another. The first that has no room says that more follow.
    fn add(&mut self, episode: Episode) -> bool {
        if self.page.episodes.len() == self.limit || self.bytes == 0 {
            self.page.more = true;
            return false;
        }
        let size = episode.size();
        self.refused = self.page.held.take(size);
        self.bytes = self.bytes.saturating_sub(size);
        self.page.episodes.push(episode);
        self.refused.is_ok()
    }

    fn finish(self) -> Result<ListedPage, Error> {
        self.refused.map(|()| self.page)
    }
}

impl Search {
    /// A page of a listing. One without a filter is read from the engine without the index.
    pub(crate) async fn list(&self, query: &ListQuery) -> Result<ListedPage, Error> {
        let page = ListedPage { episodes: Vec::new(), more: false, held: self.in_flight.reservation() };
        let mut filling =
            Filling { page, limit: query.limit, bytes: self.limits.answer_bytes, refused: Ok(()) };
        let store = &*self.engine.episodes;
        if !query.filter.is_empty() {
            let ids = self.candidates(query).await?;
            for ids in ids.chunks(STEP) {
                let mut parts = Parts::new(store, &query.space, ids);
                while let Some(part) = parts.next().await? {
                    let mut matching = self.matching(&query.filter, part).await?.into_iter();
                    if !matching.all(|episode| filling.add(episode)) {
                        return filling.finish();
                    }
                }
            }
            return filling.finish();
        }
        let mut after = query.after;
        loop {
            // One more than the page says whether more follow.
            let wanted = query.limit + 1 - filling.page.episodes.len();
            let read = store.page(&query.space, query.session.as_deref(), after, wanted).await?;
            let Some(last) = read.last() else { return filling.finish() };
            after = Some(Cursor { created_at: last.created_at.as_micros(), id: last.id });
            if !read.into_iter().all(|episode| filling.add(episode)) {
                return filling.finish();
            }
        }
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
