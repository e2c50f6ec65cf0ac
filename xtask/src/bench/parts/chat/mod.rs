//! Chats: what the memory adds to the model's time and to its first word, how much memory many chats at once take, and
//! what learning costs a store.

mod completions;
mod concurrent;
mod first_word;
mod learning;
mod overhead;

use std::time::Duration;

use anyhow::{Context, Result};
use memcloud_api::native::ChatRequest;
use memcloud_fake_llm::{Call, FakeLlm, Fault, Options, Pause};
use serde_json::json;
use tempfile::TempDir;

use super::{fill, session};
use crate::bench::Bench;
use crate::bench::figures::Figure;
use crate::bench::server::Server;

const MESSAGES: usize = 5_000;
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
    model: FakeLlm,
    _data: TempDir,
}

impl Setup {
    fn new(bench: &Bench, faults: Vec<Fault>) -> Result<Self> {
        let data = tempfile::tempdir()?;
        fill::fill(bench, data.path(), MESSAGES)?;
        let model = model(bench, Options { faults, ..Options::default() })?;
        let mut settings = settings(&model.url());
        settings.push(("MEMCLOUD_PROFILE", "false".into()));
        let server = Server::start_on(bench, data.path(), &settings)?;
        Ok(Self { server, model, _data: data })
    }

    /// The last call that the model received since this was asked before.
    fn last_call(&self) -> Result<Call> {
        let call = self.model.calls().asked.pop_back().context("the model was not asked")?;
        self.model.clear_calls();
        Ok(call)
    }
}

fn model(bench: &Bench, options: Options) -> Result<FakeLlm> {
    let _inside = bench.runtime.enter();
    Ok(FakeLlm::start(options)?)
}

/// A model that thinks for this long, and then says something new: this many words, with a pause before each in a stream.
fn says(thinks: Duration, words: usize, pause: Duration) -> Vec<Fault> {
    let (thinks, pause) = (Fault::Slow { time: Pause(thinks) }, Fault::SlowWords { time: Pause(pause) });
    vec![thinks, pause, Fault::NewWords { count: words }]
}

/// The settings that connect a server to this model.
fn settings(url: &str) -> Vec<(&'static str, String)> {
    vec![("OPENAI_BASE_URL", url.to_owned()), ("MEMCLOUD_CHAT_MODEL", "bench".to_owned())]
}

fn chat_request(question: &str) -> ChatRequest {
    let messages = vec![json!({"role": "user", "content": question})];
    ChatRequest { session: Some(session()), messages, ..ChatRequest::default() }
}
