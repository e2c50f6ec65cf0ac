//! Conversations: what the memory adds to a model's time and to its first word, how the server grows when many talk at
//! once, and what learning from people costs those who store.

mod learning;
mod many;
mod overhead;
mod speaker;
mod words;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::speaker::{Manner, Speaker};
use super::{fill, session};
use crate::bench::Bench;
use crate::bench::figures::Figure;
use crate::bench::server::Server;

const MESSAGES: usize = 5_000;
const TALK: &str = "/v1/chat";
/// About as many words as a message has.
const SENTENCE: usize = 20;

/// All of it.
pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let parts = [overhead::measure, words::measure, many::measure, learning::measure];
    Ok(parts.iter().map(|part| part(bench)).collect::<Result<Vec<_>>>()?.concat())
}

/// A server that holds 5,000 messages, and its model. It learns nothing from what it hears.
struct Stand {
    // First, so that it ends before what it stands on.
    server: Server,
    speaker: Speaker,
    _data: TempDir,
}

impl Stand {
    fn new(bench: &Bench, manner: Manner) -> Result<Self> {
        let data = tempfile::tempdir()?;
        fill::fill(data.path(), MESSAGES, bench.model.dimensions())?;
        let speaker = Speaker::start(manner)?;
        let mut settings = settings(&format!("http://{}/v1", speaker.address));
        settings.push(("MEMCLOUD_PROFILE", "false".into()));
        let server = Server::start_on(data.path(), &bench.model_dir, &settings)?;
        Ok(Self { server, speaker, _data: data })
    }
}

/// What leads a server to this model.
fn settings(url: &str) -> Vec<(&'static str, String)> {
    vec![("OPENAI_BASE_URL", url.to_owned()), ("MEMCLOUD_CHAT_MODEL", "bench".to_owned())]
}

fn talk_request(question: &str, stream: bool) -> Value {
    json!({"session": session(), "messages": [{"role": "user", "content": question}], "stream": stream})
}
