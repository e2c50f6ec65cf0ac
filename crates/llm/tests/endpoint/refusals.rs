//! Refusals.

use std::time::Duration;

use memcloud_ports::{LanguageModel, ModelAnswer};
use tokio::time::timeout;

use crate::server::{self, Act, Server, chunk, head, send, with_head};
use crate::{PATIENCE, call, model, refused, whole};

/// The wait that these header lines ask for.
async fn wait(lines: &str) -> Option<Duration> {
    let server = Server::start([with_head("429 Too Many Requests", lines, "{}")]).await;
    refused(whole(&model(&server)).await).retry_after
}

#[tokio::test]
async fn status_type_and_body_of_a_refusal_are_passed_on_unchanged() {
    for (status, number, kind, body) in [
        ("401 Unauthorized", 401, "application/json", r#"{"error":{"message":"no key"}}"#),
        ("400 Bad Request", 400, "application/json", r#"{"error":{"code":"context_length_exceeded"}}"#),
        ("500 Internal Server Error", 500, "text/html", "<html><h1>Oh no</h1></html>"),
        ("503 Service Unavailable", 503, "text/plain; charset=latin1", ""),
        ("418 I'm a teapot", 418, "image/png", "\u{1}\u{2}"),
    ] {
        for stream in [false, true] {
            let server = Server::start([server::whole(status, kind, body)]).await;
            let answer = model(&server).send(&call(stream)).await;
            let refusal = refused(answer.map(|answer| matches!(answer, ModelAnswer::Whole(_))));
            assert_eq!((refusal.status, &*refusal.body), (number, body.as_bytes()));
            assert_eq!((refusal.content_type.as_deref(), refusal.retry_after), (Some(kind), None));
        }
    }
}

#[tokio::test]
async fn a_refusal_may_have_no_content_type() {
    let server = Server::start([with_head("502 Bad Gateway", "", "bad")]).await;
    assert_eq!(refused(whole(&model(&server)).await).content_type, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"]
    {
        let mut other = Server::start([server::json("{}")]).await;
        let location = format!("location: {}\r\n", other.url("/v1/chat/completions"));
        let mut server = Server::start([with_head(status, &location, "elsewhere")]).await;
        let refusal = refused(whole(&model(&server)).await);
        assert_eq!((refusal.status.to_string(), &*refusal.body), (status[..3].to_owned(), &b"elsewhere"[..]));
        assert_eq!((server.received().len(), other.received().len()), (1, 0));
    }
}

#[tokio::test]
async fn every_form_of_retry_after_is_read() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (lines, seconds) in [
        ("retry-after: 7\r\n", Some(7.0)),
        ("Retry-After:  0.5 \r\n", Some(0.5)),
        ("retry-after: 0\r\n", Some(0.0)),
        ("retry-after: 999999\r\n", Some(3600.0)),
        ("retry-after: 1e300\r\n", Some(3600.0)),
        ("retry-after: inf\r\n", Some(3600.0)),
        ("retry-after: -1\r\n", None),
        ("retry-after: nan\r\n", None),
        ("retry-after: soon\r\n", None),
        ("retry-after: \r\n", None),
        ("retry-after-ms: 1500\r\nretry-after: 7\r\n", Some(1.5)),
        ("x-ms-retry-after-ms: 250\r\n", Some(0.25)),
        ("retry-after-ms: soon\r\nretry-after: 7\r\n", Some(7.0)),
        // By the clock of the endpoint.
        (&format!("{date}retry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n"), Some(30.0)),
        (&format!("{date}retry-after: Sunday, 06-Nov-94 08:50:07 GMT\r\n"), Some(30.0)),
        (&format!("{date}retry-after: Sun Nov  6 08:50:07 1994\r\n"), Some(30.0)),
        (&format!("{date}retry-after: Mon, 07 Nov 1994 08:49:37 GMT\r\n"), Some(3600.0)),
        (&format!("{date}retry-after: Sun, 06 Nov 1994 08:00:00 GMT\r\n"), Some(0.0)),
        // By our clock, when the endpoint shows none.
        ("retry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n", Some(0.0)),
        ("retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n", Some(3600.0)),
    ] {
        assert_eq!(wait(lines).await, seconds.map(Duration::from_secs_f64), "{lines}");
    }
}

#[tokio::test]
async fn a_long_refusal_is_cut_at_a_megabyte() {
    let Act::Send(more) = chunk([b'x'; 10_000]) else { panic!() };
    let server = Server::start([vec![head("500 Oh", "text/plain"), Act::Flood(more)]]).await;
    let refusal = refused(whole(&model(&server)).await);
    assert_eq!((refusal.status, refusal.body.len()), (500, 1 << 20));
}

#[tokio::test]
async fn an_incomplete_refusal_is_still_a_refusal() {
    let cut = vec![send("HTTP/1.1 429 Slow\r\nretry-after: 3\r\ncontent-length: 90\r\n\r\nslow do")];
    let server = Server::start([cut]).await;
    let refusal = refused(whole(&model(&server)).await);
    assert_eq!((refusal.status, &refusal.body[..]), (429, &b"slow do"[..]));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn a_refusal_without_its_body_is_still_a_refusal() {
    let server =
        Server::start([vec![send("HTTP/1.1 429 Slow\r\ncontent-length: 90\r\n\r\n"), Act::Hang]]).await;
    // The timeout for silence is a minute.
    let answer = timeout(PATIENCE / 2, async { whole(&model(&server)).await });
    assert_eq!(refused(answer.await.unwrap()).status, 429);
}
