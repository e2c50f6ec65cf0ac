//! A streamed answer: server-sent events in `OpenAI`'s shape.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::body::{Part, Parts};
use crate::fault::Fault;
use crate::refusal::ErrorAnswer;
use crate::reply::{Reply, Said};

/// The parts of a streamed answer. `usage` says whether the last event reports the tokens.
pub(crate) fn parts(reply: &Reply, faults: &[Fault], usage: bool) -> Parts {
    let events = Events { reply, usage, reasoning: faults.contains(&Fault::Reasoning) };
    let ending = if faults.contains(&Fault::Comments) { "\r\n" } else { "\n" };
    let mut lines: Vec<Vec<u8>> = events.all().iter().map(|event| line(&event.to_string(), ending)).collect();
    if matches!(reply.said, Said::Endless) {
        let word =
            Bytes::from(line(&events.delta(&json!({"content": "word ".repeat(200)})).to_string(), ending));
        let first = lines.into_iter().take(1).map(|event| Part::Bytes(event.into()));
        return Box::new(first.chain(std::iter::repeat(Part::Bytes(word))));
    }
    if !faults.contains(&Fault::NoDone) {
        lines.push(line("[DONE]", ending));
    }
    if faults.contains(&Fault::Comments) {
        lines = lines.into_iter().flat_map(|event| [b": still there\r\n\r\n".to_vec(), event]).collect();
    }
    let half = lines.len() / 2;
    if faults.contains(&Fault::InvalidUtf8) {
        lines.insert(
            half,
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xFF\"}}]}\n\n".to_vec(),
        );
    }
    if faults.contains(&Fault::ErrorEvent) {
        lines.truncate(half);
        lines.push(line(&ErrorAnswer::status(500, None).json().to_string(), ending));
    }
    let cut =
        faults.iter().find_map(|fault| if let Fault::Cut { after } = fault { Some(*after) } else { None });
    if let Some(after) = cut {
        lines.truncate(after.unwrap_or(half));
    }
    let lines = lines.into_iter().map(|event| Part::Bytes(event.into()));
    Box::new(lines.chain(cut.map(|_| Part::Break)))
}

fn line(data: &str, ending: &str) -> Vec<u8> {
    format!("data: {data}{ending}{ending}").into_bytes()
}

/// Builds the events of a reply.
struct Events<'a> {
    reply: &'a Reply,
    usage: bool,
    reasoning: bool,
}

impl Events<'_> {
    fn all(&self) -> Vec<Value> {
        let mut events: Vec<Value> = self.deltas().iter().map(|delta| self.delta(delta)).collect();
        let mut last = self.delta(&json!({}));
        last["choices"][0]["finish_reason"] = self.reply.finish_reason().into();
        events.push(last);
        if self.usage {
            let mut usage = self.delta(&Value::Null);
            usage["choices"] = json!([]);
            usage["usage"] = self.reply.usage();
            events.push(usage);
        }
        events
    }

    fn deltas(&self) -> Vec<Value> {
        let nothing =
            if matches!(self.reply.said, Said::Null | Said::Tool(_)) { Value::Null } else { "".into() };
        let mut deltas = vec![json!({"role": "assistant", "content": nothing})];
        if self.reasoning {
            deltas.push(json!({"content": null, "reasoning_content": "I think "}));
            deltas.push(json!({"reasoning_content": "about it."}));
            deltas.push(json!({"content": null, "tool_calls": null}));
            deltas.push(Value::Null);
        }
        match &self.reply.said {
            Said::Text(text) => deltas.extend(text.split_inclusive(' ').map(|word| json!({"content": word}))),
            Said::Tool(name) => {
                let begins = json!({"name": name, "arguments": ""});
                let begins = json!({"index": 0, "id": "call_dev", "type": "function", "function": begins});
                deltas.push(json!({"tool_calls": [begins]}));
                deltas.push(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}));
            }
            Said::Null | Said::Endless => {}
        }
        deltas
    }

    fn delta(&self, delta: &Value) -> Value {
        let mut event = json!({
            "object": "chat.completion.chunk",
            "created": self.reply.created,
            "model": self.reply.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}],
        });
        if !self.reasoning {
            event["id"] = self.reply.id.clone().into();
        }
        if self.usage {
            event["usage"] = Value::Null;
        }
        event
    }
}
