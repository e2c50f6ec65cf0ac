//! What the server counts and times, for Prometheus. The names are those that existing dashboards know.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::App;

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);
/// Bounds in seconds; dense where an answer usually lies.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Single values are gathered after this many requests, so that they do not pile up where nobody scrapes.
const GATHER_EVERY: u32 = 1_024;

/// The measures of one instance.
pub(crate) struct Measures {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    requests: AtomicU32,
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
        let recorder = recorder();
        let counter = |name| recorder.register_counter(&Key::from_static_name(name), &METADATA);
        let histogram = |name| recorder.register_histogram(&Key::from_static_name(name), &METADATA);
        Self {
            handle: recorder.handle(),
            requests: AtomicU32::new(0),
            ingestions: counter("Ingestion_count_total"),
            ingestion_millis: histogram("Ingestion_latency"),
            queries: counter("query_count_total"),
            query_millis: histogram("query_latency"),
            embedding_seconds: histogram("memcloud_search_embedding_seconds"),
            ranking_seconds: histogram("memcloud_search_ranking_seconds"),
            chats: counter("memcloud_chat_count_total"),
            recall_seconds: histogram("memcloud_chat_recall_seconds"),
            recorder,
        }
    }

    /// Everything measured so far, in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Episodes were stored by a request that began at `since`.
    pub(crate) fn stored(&self, episodes: usize, since: Instant) {
        self.ingestions.increment(episodes as u64);
        self.ingestion_millis.record(since.elapsed().as_secs_f64() * 1e3);
    }

    /// A search was answered that began at `since`.
    pub(crate) fn searched(&self, embedding: Duration, ranking: Duration, since: Instant) {
        self.queries.increment(1);
        self.query_millis.record(since.elapsed().as_secs_f64() * 1e3);
        self.embedding_seconds.record(embedding);
        self.ranking_seconds.record(ranking);
    }

    /// What helps with a turn of a conversation was recalled, and it is put to the model.
    pub(crate) fn recalled(&self, took: Duration) {
        self.chats.increment(1);
        self.recall_seconds.record(took);
    }

    fn answered(&self, method: &'static str, path: String, status: StatusCode, took: Duration) {
        let labels = vec![
            Label::from_static_parts("method", method),
            Label::new("path", path),
            Label::new("status", status.as_str().to_owned()),
        ];
        let count = Key::from_parts("http_requests_total", labels.clone());
        self.recorder.register_counter(&count, &METADATA).increment(1);
        let seconds = Key::from_parts("http_request_duration_seconds", labels);
        self.recorder.register_histogram(&seconds, &METADATA).record(took);
        if self.requests.fetch_add(1, Ordering::Relaxed) % GATHER_EVERY == GATHER_EVERY - 1 {
            self.handle.run_upkeep();
        }
    }
}

/// Summaries for the two latencies in milliseconds, histograms for everything in seconds.
fn recorder() -> PrometheusRecorder {
    let seconds = Matcher::Suffix("_seconds".into());
    // The only refusal is of an empty list of bounds; without bounds it would be a summary, which is no harm.
    PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &SECONDS)
        .unwrap_or_else(|_| PrometheusBuilder::new())
        .build_recorder()
}

/// Counts and times every request under the pattern of its route, so that ids in paths make no new series.
pub(crate) async fn requests(State(app): State<App>, request: Request, next: Next) -> Response {
    let since = Instant::now();
    let method = name(request.method());
    let path = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    app.measures.answered(method, path, response.status(), since.elapsed());
    response
}

/// A method may be any word; only the usual ones get a series of their own.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
