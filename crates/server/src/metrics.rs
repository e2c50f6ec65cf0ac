//! What an instance counts and times. The names are those that existing dashboards know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_http::{Metrics, note_found, note_stored};
use memcloud_memory::SearchResults;
use metrics::{Counter, Histogram};

/// The measures of one instance.
pub(crate) struct Measures {
    metrics: Arc<Metrics>,
    ingestions: Counter,
    ingestion_millis: Histogram,
    queries: Counter,
    query_millis: Histogram,
    embedding_seconds: Histogram,
    ranking_seconds: Histogram,
    chats: Counter,
    recall_seconds: Histogram,
}

impl Measures {
    pub(crate) fn new() -> Self {
        let metrics = Arc::new(Metrics::default());
        let (counter, histogram) = (|name| metrics.counter(name), |name| metrics.histogram(name));
        Self {
            ingestions: counter("Ingestion_count_total"),
            ingestion_millis: histogram("Ingestion_latency"),
            queries: counter("query_count_total"),
            query_millis: histogram("query_latency"),
            embedding_seconds: histogram("memcloud_search_embedding_seconds"),
            ranking_seconds: histogram("memcloud_search_ranking_seconds"),
            chats: counter("memcloud_chat_count_total"),
            recall_seconds: histogram("memcloud_chat_recall_seconds"),
            metrics,
        }
    }

    /// Those that every server has.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Everything measured so far, in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        self.metrics.render()
    }

    /// Episodes were stored by a request that began at `since`.
    pub(crate) fn stored(&self, episodes: usize, since: Instant) {
        note_stored(episodes);
        self.ingestions.increment(episodes as u64);
        self.ingestion_millis.record(since.elapsed().as_secs_f64() * 1e3);
    }

    /// A search was answered that began at `since`.
    pub(crate) fn searched(&self, found: &SearchResults, since: Instant) {
        note_found(found.hits.len());
        self.queries.increment(1);
        self.query_millis.record(since.elapsed().as_secs_f64() * 1e3);
        self.embedding_seconds.record(found.embedding);
        self.ranking_seconds.record(found.ranking);
    }

    /// The memories for a turn of a conversation were recalled; the model is called next.
    pub(crate) fn recalled(&self, took: Duration) {
        self.chats.increment(1);
        self.recall_seconds.record(took);
    }
}
