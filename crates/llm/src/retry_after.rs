//! How long an endpoint asks to wait.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Upper bound for `Retry-After`; longer values are clamped.
const LONGEST: Duration = Duration::from_hours(1);

/// Headers in milliseconds, which `OpenAI` and Azure send in addition to the usual one.
const IN_MILLISECONDS: [&str; 2] = ["retry-after-ms", "x-ms-retry-after-ms"];

/// The wait that the head of an answer asks for.
pub(crate) fn asked_in(head: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| head.get(name)?.to_str().ok().map(str::trim);
    let exact = IN_MILLISECONDS.into_iter().find_map(|name| seconds(text(name)?, 1000.0));
    let asked = exact.or_else(|| {
        let after = text(RETRY_AFTER.as_str())?;
        seconds(after, 1.0).or_else(|| until(after, text(DATE.as_str())))
    });
    asked.map(|wait| wait.min(LONGEST))
}

fn seconds(text: &str, per_second: f64) -> Option<Duration> {
    let number: f64 = text.parse().ok()?;
    // A number that does not fit into a duration is clamped, too.
    (number >= 0.0).then(|| Duration::try_from_secs_f64(number / per_second).unwrap_or(LONGEST))
}

/// The time until a date, by the endpoint's own clock if the answer shows it.
#[expect(
    clippy::disallowed_methods,
    reason = "the date was made by another machine's clock: only a real one compares"
)]
fn until(date: &str, now: Option<&str>) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    let now = now.and_then(|now| httpdate::parse_http_date(now).ok()).unwrap_or_else(SystemTime::now);
    Some(date.duration_since(now).unwrap_or_default())
}
