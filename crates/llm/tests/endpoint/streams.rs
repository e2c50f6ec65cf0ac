//! Streamed answers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use memcloud_llm::ChatModel;
use memcloud_ports::{LanguageModel, ModelAnswer, ModelError, Tokens};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::server::{self, Act, Server, chunk, end, send, stream_head};
use crate::{PATIENCE, all, call, endpoint_at, model, stream, streamed, text};

fn event(json: &Value) -> String {
    format!("data: {json}\n\n")
}

fn says(text: &str) -> String {
    event(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}

fn finish() -> String {
    event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
}

const DONE: &str = "data: [DONE]\n\n";

#[tokio::test]
async fn events_are_passed_on_unchanged_and_read() {
    let stream = [
        ": waiting\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}], \"vendor\" : 1}\r\n\r\n",
        "id: 3\ndata:{\"choices\":[{\"delta\":{\"content\":\"Gr\u{fc}\u{df}e\"}}]}\n\n",
        "data: {\"choices\":\ndata: []}\n\n",
        &finish(),
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n",
        DONE,
    ];
    let (deltas, failed) = streamed(stream.concat()).await;
    assert!(failed.is_none(), "{failed:?}");
    let raw: Vec<&[u8]> = deltas.iter().map(|delta| &delta.raw[..]).collect();
    assert_eq!(raw, stream.map(str::as_bytes));
    assert_eq!(text(&deltas), "Grüße");
    let tokens: Vec<_> = deltas.iter().filter_map(|delta| delta.tokens).collect();
    assert_eq!(tokens, [Tokens { prompt: 5, completion: 2 }]);
}

#[tokio::test]
async fn each_delta_arrives_before_the_next_is_sent() {
    let go = Arc::new(Notify::new());
    let reply = vec![
        stream_head(),
        chunk(says("one")),
        Act::Await(go.clone()),
        chunk(says("two")),
        Act::Await(go.clone()),
        chunk(DONE),
        end(),
    ];
    let server = Server::start([reply]).await;
    let mut deltas = stream(&model(&server)).await;
    for word in ["one", "two", ""] {
        assert_eq!(deltas.next().await.unwrap().unwrap().text, word);
        go.notify_one();
    }
    assert!(deltas.next().await.is_none());
}

#[tokio::test]
async fn the_answer_begins_with_its_head() {
    let go = Arc::new(Notify::new());
    let server = Server::start([vec![stream_head(), Act::Await(go.clone()), chunk(DONE), end()]]).await;
    let deltas = stream(&model(&server)).await;
    go.notify_one();
    assert_eq!(all(deltas).await.0.len(), 1);
}

#[tokio::test]
async fn a_stream_in_single_bytes_is_the_same_stream() {
    let bytes = [&says("Gr\u{fc}\u{df}e \u{1f642}"), &finish(), DONE].concat();
    let server = Server::start([server::events(bytes.as_bytes().chunks(1))]).await;
    let (deltas, failed) = all(stream(&model(&server)).await).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!((deltas.len(), &*text(&deltas)), (3, "Grüße \u{1f642}"));
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_passed_on_unchanged() {
    let odd = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xffb\"}}]}\n\n";
    let (deltas, failed) = streamed([odd, DONE.as_bytes()].concat()).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!((&deltas[0].raw[..], &*deltas[0].text), (&odd[..], "a\u{fffd}b"));
}

#[tokio::test]
async fn deltas_of_every_form_are_read() {
    for (choices, said, calls) in [
        (json!([{"delta": {"content": null, "reasoning_content": "Hm"}}]), "", false),
        (json!([{"delta": null}]), "", false),
        (json!([{"delta": {"content": [{"type": "text", "text": "Hi"}]}}]), "Hi", false),
        (json!([{"delta": {"content": ""}, "message": {"content": "no"}}]), "", false),
        (json!([{"message": {"content": "Hi"}}]), "Hi", false),
        (json!([{"delta": {"tool_calls": null, "refusal": "No"}}]), "No", false),
        (json!([{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}]), "", true),
        (json!([{"delta": {"function_call": {"arguments": "{"}}}]), "", true),
        (
            json!([{"index": 1, "delta": {"content": "two"}}, {"index": 0, "delta": {"content": "one"}}]),
            "one",
            false,
        ),
        (json!([{"index": 1, "delta": {"content": "two"}}]), "", false),
        (json!([]), "", false),
        (Value::Null, "", false),
    ] {
        let (deltas, failed) =
            streamed([&event(&json!({"choices": choices, "usage": null})), DONE].concat()).await;
        assert!(failed.is_none(), "{choices}: {failed:?}");
        assert_eq!((&*deltas[0].text, deltas[0].calls_tools), (said, calls), "{choices}");
    }
}

#[tokio::test]
async fn empty_data_and_unknown_events_are_passed_on() {
    let stream = ["data:\n\n", "event: ping\ndata: {\"type\": \"ping\"}\n\n", "\n", DONE];
    let (deltas, failed) = streamed(stream.concat()).await;
    assert!(failed.is_none(), "{failed:?}");
    let raw: Vec<&[u8]> = deltas.iter().map(|delta| &delta.raw[..]).collect();
    assert_eq!(raw, stream.map(str::as_bytes));
}

#[tokio::test]
async fn a_stream_ends_at_its_last_event() {
    let reply = vec![stream_head(), chunk(says("Hi")), chunk(DONE), Act::Hang];
    let server = Server::start([reply]).await;
    // Without that it would end after a minute of silence.
    let all = timeout(PATIENCE / 2, all(stream(&model(&server)).await));
    let (deltas, failed) = all.await.unwrap();
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!((deltas.len(), &*text(&deltas)), (2, "Hi"));
}

#[tokio::test]
async fn a_stream_may_end_without_a_marker_after_the_model_has_finished() {
    let usage = event(&json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}));
    let unended = usage.trim_end();
    for (name, reply, events) in [
        ("closed well", vec![chunk(finish()), end()], 1),
        ("closed", vec![chunk(finish())], 1),
        ("usage after", vec![chunk(finish()), chunk(&usage), end()], 2),
        ("last event without its empty line", vec![chunk(finish()), chunk(unended), end()], 2),
        ("last event cut off", vec![chunk(finish()), chunk("data: {\"cho"), end()], 1),
        ("done without its empty line", vec![chunk("data: [DONE]"), end()], 1),
        ("finished without an empty line", vec![chunk(finish().trim_end()), end()], 1),
    ] {
        let server = Server::start([[vec![stream_head()], reply].concat()]).await;
        let (deltas, failed) = all(stream(&model(&server)).await).await;
        assert!(failed.is_none(), "{name}: {failed:?}");
        assert_eq!(deltas.len(), events, "{name}");
    }
}

#[tokio::test]
async fn an_incomplete_stream_is_cut_after_its_last_delta() {
    let (word, long) = (says("Hi"), says("Gr\u{fc}\u{df}e"));
    let inside_a_character = long.find('\u{fc}').unwrap() + 1;
    for (name, reply) in [
        ("closed", vec![]),
        ("ended as if it were all", vec![end()]),
        ("inside an event", vec![chunk("data: {\"choi")]),
        ("inside an event, ended well", vec![chunk("data: {\"choi"), end()]),
        ("inside a character", vec![chunk(&long.as_bytes()[..inside_a_character]), end()]),
        ("inside a chunk", vec![send("ff\r\ndata: {")]),
        ("after an event without its empty line", vec![chunk(long.trim_end()), end()]),
    ] {
        let server = Server::start([[vec![stream_head(), chunk(&word)], reply].concat()]).await;
        let (deltas, failed) = all(stream(&model(&server)).await).await;
        assert!(matches!(failed, Some(ModelError::Cut(_))), "{name}: {failed:?}");
        assert_eq!(text(&deltas), "Hi", "{name}");
    }
}

#[tokio::test]
async fn silence_ends_a_stream() {
    let silence = Duration::from_millis(200);
    for (begun, finished) in [(says("Hi"), false), (finish(), true)] {
        let server = Server::start([vec![stream_head(), chunk(begun), Act::Hang]]).await;
        let model = ChatModel::new(endpoint_at(&server.url("/v1"), silence), "small");
        let (deltas, failed) = all(stream(&model).await).await;
        assert_eq!(deltas.len(), 1);
        // After the model has finished, nothing is missed.
        assert_eq!(matches!(failed, Some(ModelError::Silent(_))), !finished, "{failed:?}");
    }
}

#[tokio::test]
async fn a_slow_stream_is_read_to_its_end() {
    let (silence, pause) = (Duration::from_secs(3), Duration::from_millis(700));
    let slow = (0..5).flat_map(|_| [Act::Pause(pause), chunk(says("x"))]);
    let reply = [stream_head()].into_iter().chain(slow).chain([chunk(DONE), end()]).collect();
    let server = Server::start([reply]).await;
    let model = ChatModel::new(endpoint_at(&server.url("/v1"), silence), "small");
    let (deltas, failed) = all(stream(&model).await).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(text(&deltas), "xxxxx");
}

#[tokio::test]
async fn an_error_event_ends_a_stream() {
    for (bad, status, message) in [
        (event(&json!({"error": {"message": "overloaded", "code": 503}})), 503, "overloaded"),
        (event(&json!({"error": "overloaded"})), 500, "overloaded"),
        (
            event(&json!({"error": {"message": "died"}, "choices": [{"delta": {"content": "x"}}]})),
            500,
            "died",
        ),
        ("event: error\ndata: {\"message\": \"died\"}\n\n".into(), 500, "died"),
        ("event: error\ndata: died\n\n".into(), 500, "died"),
        // Without the empty line at its end.
        ("data: {\"error\": {\"message\": \"died\"}}".into(), 500, "died"),
    ] {
        let (deltas, failed) = streamed([&says("Hi"), &*bad].concat()).await;
        let Some(ModelError::Refused(refusal)) = failed else { panic!("{bad}: {failed:?}") };
        assert_eq!((refusal.status, &*refusal.message()), (status, message), "{bad}");
        assert_eq!(text(&deltas), "Hi");
    }
}

#[tokio::test]
async fn an_event_that_is_not_json_is_unusable() {
    for bad in ["data: Hello\n\n", "data: [1]\n\n", "data: 7\n\n"] {
        let (deltas, failed) = streamed([&says("Hi"), bad, &says("there"), DONE].concat()).await;
        assert!(matches!(failed, Some(ModelError::Unusable { .. })), "{bad}: {failed:?}");
        assert_eq!(text(&deltas), "Hi");
    }
}

#[tokio::test]
async fn an_event_without_end_is_too_long() {
    let Act::Send(more) = chunk([b'x'; 1 << 14]) else { panic!() };
    let server = Server::start([vec![stream_head(), chunk("data: "), Act::Flood(more)]]).await;
    let (deltas, failed) = all(stream(&model(&server)).await).await;
    assert!(matches!(failed, Some(ModelError::TooLong { limit }) if limit == 8 << 20), "{failed:?}");
    assert!(deltas.is_empty());
}

#[tokio::test]
async fn a_stream_is_recognized_by_its_content_type() {
    for kind in ["text/event-stream", "Text/Event-Stream;charset=UTF-8", "text/event-stream ; x=y"] {
        let server = Server::start([server::whole("200 OK", kind, DONE)]).await;
        let answer = model(&server).send(&call(false)).await;
        let Ok(ModelAnswer::Stream(deltas)) = answer else { panic!("{kind}") };
        assert_eq!(all(deltas).await.0.len(), 1);
    }
}
