//! What a server counts and times, for Prometheus.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);
/// The buckets of every histogram in seconds; dense where most answers are.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Single values are aggregated after this many requests, so that they do not pile up where nothing scrapes.
const AGGREGATE_EVERY: u32 = 1_024;

/// The metrics of one server.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    requests: AtomicU32,
}

impl Default for Metrics {
    fn default() -> Self {
        let recorder = recorder();
        Self { handle: recorder.handle(), requests: AtomicU32::new(0), recorder }
    }
}

impl Metrics {
    /// A counter of this name.
    pub fn counter(&self, name: &'static str) -> Counter {
        self.recorder.register_counter(&Key::from_static_name(name), &METADATA)
    }

    /// A histogram of this name when it ends in `_seconds`, otherwise a summary.
    pub fn histogram(&self, name: &'static str) -> Histogram {
        self.recorder.register_histogram(&Key::from_static_name(name), &METADATA)
    }

    /// Everything measured so far, in the Prometheus text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Counts and times a request under the pattern of its route, so that ids in paths make no new series.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let labels = vec![
            Label::from_static_parts("method", name(method)),
            Label::new("path", route.to_owned()),
            Label::new("status", status.as_str().to_owned()),
        ];
        let count = Key::from_parts("http_requests_total", labels.clone());
        self.recorder.register_counter(&count, &METADATA).increment(1);
        let seconds = Key::from_parts("http_request_duration_seconds", labels);
        self.recorder.register_histogram(&seconds, &METADATA).record(took);
        if self.requests.fetch_add(1, Ordering::Relaxed) % AGGREGATE_EVERY == AGGREGATE_EVERY - 1 {
            self.handle.run_upkeep();
        }
    }
}

/// Summaries for latencies in milliseconds, histograms for everything in seconds.
fn recorder() -> PrometheusRecorder {
    let seconds = Matcher::Suffix("_seconds".into());
    // Only an empty list of buckets is refused, and this one is not empty.
    PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &SECONDS)
        .unwrap_or_else(|_| PrometheusBuilder::new())
        .build_recorder()
}

/// A method may be any word; only the usual ones get a series and a name in the log.
pub(crate) fn name(method: &Method) -> &'static str {
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
