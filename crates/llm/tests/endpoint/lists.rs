//! Lists of models.

use memcloud_ports::{LanguageModel, ModelError};
use serde_json::{Value, json};

use crate::server::{self, Server, whole};
use crate::{model, refused};

async fn listed(reply: server::Reply) -> Result<Value, ModelError> {
    let server = Server::start([reply]).await;
    model(&server).models().await
}

#[tokio::test]
async fn the_list_of_the_endpoint_is_returned_unchanged() {
    let list = json!({"object": "list", "data": [{"id": "a", "vendor": 1}, {"id": "b"}], "more": false});
    let mut server = Server::start([server::json(list.to_string())]).await;
    assert_eq!(model(&server).models().await.unwrap(), list);
    let asked = server.asked().await;
    assert_eq!(asked.line, "GET /v1/models HTTP/1.1");
    assert!(asked.header("authorization").is_some());
}

#[tokio::test]
async fn lists_in_other_formats_are_converted() {
    for (body, data) in [
        (r#"{"data": [{"id": "a"}]}"#, json!([{"id": "a"}])),
        (r#"[{"id": "a"}]"#, json!([{"id": "a"}])),
        (r#"{"object": "list", "data": null}"#, json!([])),
    ] {
        assert_eq!(listed(server::json(body)).await.unwrap(), json!({"object": "list", "data": data}));
    }
}

#[tokio::test]
async fn an_endpoint_without_a_list_has_its_one_model() {
    for status in ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"] {
        let list = listed(whole(status, "text/plain", "no")).await.unwrap();
        assert_eq!(list, json!({"object": "list", "data": [{"id": "small", "object": "model"}]}));
    }
}

#[tokio::test]
async fn all_other_answers_are_errors() {
    for (status, number) in [("401 Unauthorized", 401), ("503 Service Unavailable", 503), ("302 Found", 302)]
    {
        assert_eq!(refused(listed(whole(status, "text/plain", "no")).await).status, number);
    }
    assert_eq!(refused(listed(server::json(r#"{"error": {"message": "no"}}"#)).await).status, 500);
    for body in ["", "<html>", "{}", r#"{"data": {}}"#] {
        assert!(matches!(listed(server::json(body)).await, Err(ModelError::Unusable { .. })), "{body}");
    }
}
