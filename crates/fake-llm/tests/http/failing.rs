use std::time::{Duration, Instant};

use memcloud_fake_llm::{Fault, Options, Pause};
use serde_json::{Value, json};

use crate::client::{ANSWER, Client, events, json, question, question_with, streamed, text};

const SHORT: Pause = Pause(Duration::from_millis(60));

/// Reads until the answer breaks off; what came before it did.
async fn broken(mut response: reqwest::Response) -> Vec<u8> {
    let mut came = Vec::new();
    while let Some(piece) = response.chunk().await.transpose() {
        let Ok(piece) = piece else { return came };
        came.extend_from_slice(&piece);
    }
    panic!("the answer has an orderly end: {}", String::from_utf8_lossy(&came));
}

#[tokio::test]
async fn slow_and_latency_come_before_the_head() {
    let started = Instant::now();
    assert_eq!(Client::with(Fault::Slow { time: SHORT }).said(&question()).await, ANSWER);
    assert!(started.elapsed() >= SHORT.0);
    let options = Options { latency: SHORT.0, jitter: SHORT.0, ..Options::default() };
    let (client, started) = (Client::of(options), Instant::now());
    client.send(&streamed()).await;
    assert!(started.elapsed() >= SHORT.0);
}

#[tokio::test]
async fn hang_never_answers() {
    let client = Client::with(Fault::Hang);
    client.give_up(client.send(&question())).await;
    let calls = client.model.calls();
    assert_eq!((calls.calls, calls.charged, calls.asked[0].status), (1, 0, None));
}

#[tokio::test]
async fn status_answers_that_status() {
    for (status, kind) in [(429, "requests"), (500, "server_error"), (404, "invalid_request_error")] {
        let client = Client::with(Fault::Status { status, retry_after: Some(2) });
        let response = client.send(&streamed()).await;
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(json(response, status).await["error"]["type"], kind);
        let client = Client::with(Fault::Status { status, retry_after: None });
        assert!(!client.send(&question()).await.headers().contains_key("retry-after"));
    }
}

#[tokio::test]
async fn overflow_refuses_what_is_too_long() {
    let client = Client::with(Fault::Overflow { tokens: 100 });
    assert_eq!(client.said(&question()).await, ANSWER);
    let long = json!({"model": "m", "messages": [{"role": "user", "content": "word ".repeat(100)}]});
    let error = json(client.send(&long).await, 400).await;
    assert_eq!(error["error"]["code"], "context_length_exceeded");
    assert!(error["error"]["message"].as_str().unwrap().contains("125 tokens"), "{error}");
    json(Client::with(Fault::Overflow { tokens: 0 }).send(&question()).await, 400).await;
}

#[tokio::test]
async fn unknown_fields_are_refused_where_an_endpoint_is_strict() {
    let client = Client::with(Fault::RefusesFormat);
    let error =
        json(client.send(&question_with(&json!({"response_format": {"type": "json_object"}}))).await, 400)
            .await;
    assert_eq!(error["error"]["param"], "response_format");
    assert_eq!(client.said(&question()).await, ANSWER);
    let client = Client::with(Fault::RefusesUsage);
    let wants_usage = question_with(&json!({"stream": true, "stream_options": {"include_usage": true}}));
    let error = json(client.send(&wants_usage).await, 400).await;
    assert_eq!(error["error"]["param"], "stream_options");
    assert_eq!(text(&client.events(&streamed()).await), ANSWER);
}

#[tokio::test]
async fn ignores_stream_answers_json() {
    let response = Client::with(Fault::IgnoresStream).send(&streamed()).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(json(response, 200).await["choices"][0]["message"]["content"], ANSWER);
}

#[tokio::test]
async fn cut_breaks_off_in_the_middle() {
    let client = Client::with(Fault::Cut { after: None });
    let came = broken(client.send(&streamed()).await).await;
    let said = text(&events(std::str::from_utf8(&came).unwrap()));
    assert!(!said.is_empty() && said.len() < ANSWER.len() && ANSWER.starts_with(&said), "{said}");
    let came = broken(client.send(&question()).await).await;
    assert!(!came.is_empty() && serde_json::from_slice::<Value>(&came).is_err());
    for after in [0, 1, 3] {
        let client = Client::with(Fault::Cut { after: Some(after) });
        let came = broken(client.send(&streamed()).await).await;
        assert_eq!(events(std::str::from_utf8(&came).unwrap()).len(), after);
    }
}

#[tokio::test]
async fn error_event_ends_a_stream_with_an_error() {
    let mut events = Client::with(Fault::ErrorEvent).events(&streamed()).await;
    let error: Value = events.pop().unwrap().parse().unwrap();
    assert_eq!(error["error"]["type"], "server_error");
    assert!(text(&events).len() < ANSWER.len());
}

#[tokio::test]
async fn no_done_leaves_the_end_out() {
    let events = Client::with(Fault::NoDone).events(&streamed()).await;
    assert_eq!(text(&events), ANSWER);
    assert!(!events.contains(&"[DONE]".to_owned()));
}

#[tokio::test]
async fn slow_words_pause_before_each_event() {
    let client = Client::with(Fault::SlowWords { time: SHORT });
    let started = Instant::now();
    let response = client.send(&streamed()).await;
    let count = events(&response.text().await.unwrap()).len() as u32;
    assert!(started.elapsed() >= SHORT.0 * count, "{:?}", started.elapsed());
}

#[tokio::test]
async fn torn_and_comments_do_not_change_the_events() {
    let client = Client::with(Fault::Torn);
    let mut response = client.send(&streamed()).await;
    let (mut pieces, mut all) = (0, Vec::new());
    while let Some(piece) = response.chunk().await.unwrap() {
        pieces += 1;
        all.extend_from_slice(&piece);
    }
    let events = events(std::str::from_utf8(&all).unwrap());
    assert_eq!(text(&events), ANSWER);
    assert!(pieces > events.len(), "{pieces} pieces of {} events", events.len());
    assert_eq!(client.said(&question()).await, ANSWER);
    let said = Client::with(Fault::Comments).send(&streamed()).await.text().await.unwrap();
    assert!(said.starts_with(": still there\r\n\r\ndata: {"), "{said}");
    assert!(said.ends_with("\r\n\r\ndata: [DONE]\r\n\r\n"), "{said}");
}

#[tokio::test]
async fn reasoning_adds_reasoning_and_leaves_fields_out() {
    let client = Client::with(Fault::Reasoning);
    let events = client.events(&streamed()).await;
    assert_eq!(text(&events), ANSWER);
    let all = events.concat();
    assert!(all.contains("reasoning_content") && all.contains(r#""content":null"#), "{all}");
    assert!(all.contains(r#""delta":null"#) && !all.contains(r#""id":"#), "{all}");
    let answer = json(client.send(&question()).await, 200).await;
    assert!(answer["choices"][0]["message"]["reasoning_content"].is_string() && answer.get("id").is_none());
}

#[tokio::test]
async fn invalid_utf8_is_sent_on_request() {
    for body in [streamed(), question()] {
        let bytes = Client::with(Fault::InvalidUtf8).send(&body).await.bytes().await.unwrap();
        assert!(std::str::from_utf8(&bytes).is_err(), "{bytes:?}");
    }
}

#[tokio::test]
async fn new_words_vary_their_order() {
    let said = async |fault| Client::with(fault).said(&question()).await;
    assert_eq!(said(Fault::Empty).await, "");
    assert!(said(Fault::NullContent).await.is_null());
    assert!(said(Fault::BadJson).await.as_str().unwrap().parse::<Value>().is_err());
    let other: Value = said(Fault::WrongSchema).await.as_str().unwrap().parse().unwrap();
    assert!(other["orders"].is_array() && other.get("commands").is_none());
    for fault in [Fault::Empty, Fault::NullContent] {
        let events = Client::with(fault).events(&streamed()).await;
        assert_eq!((text(&events).as_str(), events.len()), ("", 3));
    }
}

#[tokio::test]
async fn new_words_are_as_many_as_asked_for_and_others_each_time() {
    let client = Client::with(Fault::NewWords { count: 7 });
    let (one, other) = (client.said(&question()).await, client.said(&question()).await);
    assert_ne!(one, other);
    for said in [one, other] {
        assert_eq!(said.as_str().unwrap().split(' ').count(), 7, "{said}");
    }
}

#[tokio::test]
async fn a_call_records_its_arrival_and_its_first_word() {
    let client = Client::with(Fault::SlowWords { time: "20ms".parse().unwrap() });
    for (body, events_before) in [(question(), 0), (streamed(), 2)] {
        client.model.clear_calls();
        client.send(&body).await.bytes().await.unwrap();
        let call = client.model.calls().asked.pop_back().unwrap();
        let took = call.answered.unwrap().duration_since(call.received.unwrap());
        assert!(took >= events_before * Duration::from_millis(20), "{took:?}");
    }
}

#[tokio::test]
async fn tools_are_called_instead_of_an_answer() {
    let client = Client::with(Fault::Tools);
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {}}}]);
    let answer = json(client.send(&question_with(&json!({"tools": tools}))).await, 200).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["tool_calls"][0]["function"], json!({"name": "weather", "arguments": "{}"}));
    assert!(choice["message"]["content"].is_null());
    let events = client.events(&streamed()).await;
    let begins: Value = events[1].parse().unwrap();
    assert_eq!(begins["choices"][0]["delta"]["tool_calls"][0]["function"]["name"], "lookup");
    assert_eq!(text(&events), "");
}

#[tokio::test]
async fn huge_never_ends() {
    for body in [streamed(), question()] {
        let client = Client::with(Fault::Huge);
        let mut response = client.send(&body).await;
        assert_eq!(response.status(), 200);
        let mut read = 0;
        while read < 8 << 20 {
            read += response.chunk().await.unwrap().unwrap().len();
        }
    }
}

#[tokio::test]
async fn dropping_a_model_ends_its_running_answers() {
    let client = Client::with(Fault::SlowWords { time: Pause(Duration::from_mins(10)) });
    let response = client.send(&streamed()).await;
    let address = client.model.address();
    drop(client);
    assert!(broken(response).await.is_empty());
    let until = Instant::now() + crate::client::PATIENCE;
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
