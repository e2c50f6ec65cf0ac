//! Whole answers.

use std::time::Duration;

use memcloud_llm::ChatModel;
use memcloud_ports::{LanguageModel, ModelAnswer, ModelError, Tokens};
use serde_json::{Value, json};

use crate::server::{self, Act, Server, chunk, head, send};
use crate::{PATIENCE, call, endpoint_at, model, refused, said, whole};

async fn in_json(body: Value) -> Result<memcloud_ports::Completion, ModelError> {
    said("application/json", body.to_string()).await
}

fn choice(message: &Value) -> Value {
    json!({"choices": [{"message": message}]})
}

#[tokio::test]
async fn bodies_and_answers_are_passed_on_unchanged() {
    let body = r#"{ "choices" : [{"message":{"content":"Hi"}, "vendor": [1]}], "odd": {} }"#;
    let mut server = Server::start([server::json(body)]).await;
    let mut call = call(false);
    call.body.insert("vendor".into(), json!({"kept": [1, 2.5, null]}));
    call.idempotency_key = Some("once".into());
    let Ok(ModelAnswer::Whole(completion)) = model(&server).send(&call).await else { panic!() };
    assert_eq!((&completion.raw[..], &*completion.text), (body.as_bytes(), "Hi"));
    assert_eq!((completion.calls_tools, completion.tokens), (false, None));

    let asked = server.asked().await;
    assert_eq!(asked.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(asked.json(), Value::from(call.body));
    assert_eq!(asked.header("idempotency-key"), Some("once"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn no_idempotency_key_is_sent_without_one() {
    let mut server = Server::start([server::json(choice(&json!({"content": ""})).to_string())]).await;
    whole(&model(&server)).await.unwrap();
    assert_eq!(server.asked().await.header("idempotency-key"), None);
}

#[tokio::test]
async fn text_is_found_in_every_form() {
    for (message, text) in [
        (json!({"role": "assistant", "content": null}), ""),
        (json!({}), ""),
        (json!({"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}), "Hello"),
        (
            json!({"content": ["Hel", {"type": "image_url"}, {"type": "thinking", "thinking": []}, "lo"]}),
            "Hello",
        ),
        (json!({"content": "Yes", "reasoning_content": "Hm", "reasoning": "Hm"}), "Yes"),
        (json!({"content": "<think>Hm</think>Yes"}), "<think>Hm</think>Yes"),
        (json!({"content": null, "refusal": "No"}), "No"),
        (json!({"content": "Yes", "refusal": null, "tool_calls": null}), "Yes"),
    ] {
        let completion = in_json(choice(&message)).await.unwrap();
        assert_eq!((&*completion.text, completion.calls_tools), (text, false), "{message}");
    }
}

#[tokio::test]
async fn tool_calls_are_found_in_every_form() {
    let tool = json!({"function": {"name": "look", "arguments": "{}"}});
    for (message, calls) in [
        (json!({"content": null, "tool_calls": [tool]}), true),
        (json!({"content": "", "function_call": {"name": "look", "arguments": "{}"}}), true),
        (json!({"content": "", "tool_calls": []}), false),
        (json!({"content": "", "tool_calls": null, "function_call": null}), false),
    ] {
        assert_eq!(in_json(choice(&message)).await.unwrap().calls_tools, calls, "{message}");
    }
}

#[tokio::test]
async fn the_first_of_several_choices_counts() {
    let choice = |index: Value, text: &str| json!({"index": index, "message": {"content": text}});
    for choices in [
        json!([choice(json!(1), "two"), choice(json!(0), "one")]),
        json!([choice(Value::Null, "one"), choice(Value::Null, "two")]),
        json!([choice(json!(3), "one"), choice(json!(4), "two")]),
    ] {
        assert_eq!(in_json(json!({"choices": choices})).await.unwrap().text, "one", "{choices}");
    }
}

#[tokio::test]
async fn usage_is_read_under_every_name() {
    let counted = |prompt, completion| Some(Tokens { prompt, completion });
    for (usage, tokens) in [
        (json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}), counted(3, 4)),
        (json!({"input_tokens": 3, "output_tokens": 4}), counted(3, 4)),
        (json!({"prompt_tokens": 3.0, "completion_tokens": null}), counted(3, 0)),
        (json!({"completion_tokens": 4, "prompt_tokens": -1}), counted(0, 4)),
        (json!({"total_tokens": 7}), None),
        (json!({}), None),
        (Value::Null, None),
        (json!("many"), None),
    ] {
        let mut answer = choice(&json!({"content": "Hi"}));
        answer["usage"] = usage.clone();
        assert_eq!(in_json(answer).await.unwrap().tokens, tokens, "{usage}");
    }
}

#[tokio::test]
async fn an_answer_without_choices_is_unusable() {
    for (body, message) in [
        ("", "nothing"),
        (" \n", "nothing"),
        ("<html><body>Welcome</body></html>", "not a JSON object: <html><body>Welcome</body></html>"),
        ("[]", "not a JSON object: []"),
        ("null", "not a JSON object: null"),
        ("{}", "without choices"),
        (r#"{"choices": null}"#, "without choices"),
        (r#"{"choices": []}"#, "without choices"),
        (r#"{"choices": {"message": {}}}"#, "without choices"),
        ("data: {}\n\n", "not a JSON object: data: {}"),
        ("\u{1f4a9}\u{fffd}", "not a JSON object: \u{1f4a9}"),
    ] {
        match said("application/json", body).await {
            Err(ModelError::Unusable { what }) => assert!(what.contains(message), "{body}: {what}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    let Err(ModelError::Unusable { what }) = said("text/html", "é".repeat(5000)).await else { panic!() };
    assert!(what.ends_with("é…") && what.chars().count() < 200, "{what}");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(said("application/json", deep).await, Err(ModelError::Unusable { .. })));
}

#[tokio::test]
async fn an_error_with_status_200_is_a_refusal() {
    for (body, status, message) in [
        (json!({"error": {"message": "overloaded"}}), 500, "overloaded"),
        (json!({"error": "overloaded"}), 500, "overloaded"),
        (json!({"error": {"message": "slow down", "code": 429}}), 429, "slow down"),
        (json!({"error": {"message": "no", "code": "model_not_found"}}), 500, "no"),
        (json!({"error": {"message": "no", "code": 7}}), 500, "no"),
        (json!({"object": "error", "message": "too long", "code": 400}), 400, "too long"),
        (json!({"error": {"message": "died"}, "choices": [{"message": {"content": "Hi"}}]}), 500, "died"),
    ] {
        let refusal = refused(in_json(body.clone()).await);
        assert_eq!((refusal.status, &*refusal.message()), (status, message), "{body}");
        assert_eq!(refusal.body, body.to_string());
        assert_eq!(refusal.content_type.as_deref(), Some("application/json"));
    }
    for none in [Value::Null, json!(""), json!({}), json!(false)] {
        let mut answer = choice(&json!({"content": "Hi"}));
        answer["error"] = none.clone();
        assert_eq!(in_json(answer).await.unwrap().text, "Hi", "{none}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_ignored() {
    let body = format!("\u{feff}{}", choice(&json!({"content": "Hi"})));
    assert_eq!(said("application/json", body).await.unwrap().text, "Hi");
}

#[tokio::test]
async fn an_incomplete_body_is_cut() {
    let long = choice(&json!({"content": "a long story"})).to_string();
    let half = &long.as_bytes()[..long.len() / 2];
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
    for reply in [
        vec![send([announced.as_bytes(), half].concat())],
        vec![head("200 OK", "application/json"), chunk(half)],
        vec![head("200 OK", "application/json"), send("ff\r\n{\"cho")],
        // Only the closed connection ends this one.
        vec![send([b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", half].concat())],
    ] {
        let server = Server::start([reply]).await;
        assert!(matches!(whole(&model(&server)).await, Err(ModelError::Cut(_))));
    }
}

#[tokio::test]
async fn a_connection_without_a_head_is_unreachable() {
    for reply in [vec![], vec![send("HTTP/1.1 200")], vec![send("SMTP ready\r\n\r\n")]] {
        let server = Server::start([reply]).await;
        assert!(matches!(whole(&model(&server)).await, Err(ModelError::Unreachable(_))));
    }
    // The server on this port has stopped.
    let gone = Server::start([]).await.url("/v1");
    let model = ChatModel::new(endpoint_at(&gone, PATIENCE), "small");
    let error = whole(&model).await.unwrap_err();
    assert!(memcloud_domain::with_causes(&error).contains("connect"), "{error:?}");
}

#[tokio::test]
async fn silence_before_or_after_the_head_is_an_error() {
    let silence = Duration::from_millis(200);
    let begun = vec![head("200 OK", "application/json"), chunk("{"), Act::Hang];
    for reply in [vec![Act::Hang], vec![send("HTTP/1.1 200 OK\r\n"), Act::Hang], begun] {
        let server = Server::start([reply]).await;
        let model = ChatModel::new(endpoint_at(&server.url("/v1"), silence), "small");
        match whole(&model).await {
            Err(ModelError::Silent(within)) => assert_eq!(within, silence),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_above_the_limit_is_too_long() {
    let announced = vec![send("HTTP/1.1 200 OK\r\ncontent-length: 40000000000\r\n\r\n"), Act::Hang];
    let Act::Send(blanks) = chunk([b' '; 1 << 14]) else { panic!() };
    let endless = vec![head("200 OK", "application/json"), Act::Flood(blanks)];
    for reply in [announced, endless] {
        let server = Server::start([reply]).await;
        match whole(&model(&server)).await {
            Err(ModelError::TooLong { limit }) => assert_eq!(limit, 32 << 20),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_whole_answer_to_a_streaming_call_is_whole() {
    let server = Server::start([server::json(choice(&json!({"content": "Hi"})).to_string())]).await;
    let Ok(ModelAnswer::Whole(completion)) = model(&server).send(&call(true)).await else { panic!() };
    assert_eq!(completion.text, "Hi");
}
