//! Endpoints that answer well, each in its own format, and late, incompletely, wrongly or not at all. The sockets are real;
//! each test writes out the bytes that they send.

#![expect(clippy::disallowed_methods, reason = "tests read their own environment and hold their own tasks")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chats;
mod keys;
mod lists;
mod refusals;
mod server;
mod shapes;
mod streams;
mod vectors;

use std::time::Duration;

use memcloud_llm::{ChatModel, Endpoint, Timeouts};
use memcloud_ports::{
    Call, Completion, Delta, Deltas, EndpointRefusal, LanguageModel, ModelAnswer, ModelError,
};
use serde_json::json;

use crate::server::Server;

/// Long enough for any machine. A test waits this long only when it fails.
const PATIENCE: Duration = Duration::from_mins(1);

const KEY: &str = "sk-not-a-key-0123456789";

fn timeouts(silence: Duration) -> Timeouts {
    Timeouts { silence, ..Timeouts::default() }
}

fn endpoint_at(address: &str, silence: Duration) -> Endpoint {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Endpoint::new(address, Some(KEY.into()), timeouts(silence)).unwrap()
}

fn endpoint(server: &Server) -> Endpoint {
    endpoint_at(&server.url("/v1"), PATIENCE)
}

fn model(server: &Server) -> ChatModel {
    ChatModel::new(endpoint(server), "small")
}

fn call(stream: bool) -> Call {
    let body =
        json!({"model": "small", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]});
    Call { body: body.as_object().unwrap().clone(), idempotency_key: None }
}

async fn whole(model: &ChatModel) -> Result<Completion, ModelError> {
    match model.send(&call(false)).await? {
        ModelAnswer::Whole(completion) => Ok(completion),
        ModelAnswer::Stream(_) => panic!("it is a stream"),
    }
}

async fn stream(model: &ChatModel) -> Deltas {
    match model.send(&call(true)).await {
        Ok(ModelAnswer::Stream(deltas)) => deltas,
        Ok(ModelAnswer::Whole(completion)) => panic!("it is whole: {completion:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// All deltas up to the end or an error, which must come last.
async fn all(mut deltas: Deltas) -> (Vec<Delta>, Option<ModelError>) {
    use futures_util::StreamExt;
    let mut read = Vec::new();
    let mut failed = None;
    while let Some(delta) = deltas.next().await {
        assert!(failed.is_none(), "{delta:?} came after {failed:?}");
        match delta {
            Ok(delta) => read.push(delta),
            Err(error) => failed = Some(error),
        }
    }
    (read, failed)
}

/// How a whole answer with this body is read.
async fn said(kind: &str, body: impl AsRef<[u8]>) -> Result<Completion, ModelError> {
    let server = Server::start([server::whole("200 OK", kind, body)]).await;
    whole(&model(&server)).await
}

/// How a stream of these bytes is read, and how it ends.
async fn streamed(bytes: impl AsRef<[u8]>) -> (Vec<Delta>, Option<ModelError>) {
    let server = Server::start([server::events([bytes.as_ref()])]).await;
    all(stream(&model(&server)).await).await
}

fn text(deltas: &[Delta]) -> String {
    deltas.iter().map(|delta| delta.text.as_str()).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, ModelError>) -> EndpointRefusal {
    match answer {
        Err(ModelError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}
