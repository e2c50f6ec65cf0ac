//! Chats: what the memory adds to the model's time and to its first word, how much memory many chats at once take, and
//! what learning costs a store.

mod concurrent;
mod first_word;
mod learning;
mod overhead;
mod scripted_model;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::scripted_model::{Script, ScriptedModel};
use super::{fill, session};
use crate::bench::Bench;
use crate::bench::figures::Figure;
use crate::bench::server::Server;

const MESSAGES: usize = 5_000;
const CHAT: &str = "/v1/chat";
/// About as many words as a message has.
const SENTENCE: usize = 20;

/// Measures all parts.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let parts = [overhead::measure, first_word::measure, concurrent::measure, learning::measure];
    Ok(parts.iter().map(|part| part(bench)).collect::<Result<Vec<_>>>()?.concat())
}

/// A server that holds 5,000 messages, and its model. It learns no facts.
struct Setup {
    // The first field, so that it is dropped before what it uses.
    server: Server,
    model: ScriptedModel,
    _data: TempDir,
}

impl Setup {
    fn new(bench: &Bench, script: Script) -> Result<Self> {
        let data = tempfile::tempdir()?;
        fill::fill(data.path(), MESSAGES, bench.model.dimensions())?;
        let model = ScriptedModel::start(script)?;
        let mut settings = settings(&format!("http://{}/v1", model.address));
        settings.push(("MEMCLOUD_PROFILE", "false".into()));
        let server = Server::start_on(data.path(), &bench.model_dir, &settings)?;
        Ok(Self { server, model, _data: data })
    }
}

/// The settings that connect a server to this model.
fn settings(url: &str) -> Vec<(&'static str, String)> {
    vec![("OPENAI_BASE_URL", url.to_owned()), ("MEMCLOUD_CHAT_MODEL", "bench".to_owned())]
}

fn chat_request(question: &str, stream: bool) -> Value {
    json!({"session": session(), "messages": [{"role": "user", "content": question}], "stream": stream})
}
