//! An answer that is not streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::body::{Part, Parts};
use crate::fault::Fault;
use crate::reply::{Reply, Said};

/// How a text begins in the JSON of an answer.
const TEXT: &[u8] = br#""content":""#;

/// The parts of an answer that is not streamed.
pub(crate) fn parts(reply: &Reply, faults: &[Fault]) -> Parts {
    let mut json = answer(reply, faults.contains(&Fault::Reasoning)).to_string().into_bytes();
    let text = json.windows(TEXT.len()).position(|window| window == TEXT).map(|at| at + TEXT.len());
    if let (Some(at), Said::Endless) = (text, &reply.said) {
        json.truncate(at);
        let words = std::iter::repeat_with(|| Part::Bytes(Bytes::from("word ".repeat(1_000))));
        return Box::new([Part::Bytes(json.into())].into_iter().chain(words));
    }
    if let Some(at) = text.filter(|_| faults.contains(&Fault::InvalidUtf8)) {
        json.insert(at, 0xFF);
    }
    let cut = faults.iter().any(|fault| matches!(fault, Fault::Cut { .. }));
    if cut {
        json.truncate(json.len() / 2);
    }
    Box::new([Part::Bytes(json.into())].into_iter().chain(cut.then_some(Part::Break)))
}

fn answer(reply: &Reply, reasoning: bool) -> Value {
    let mut message = match &reply.said {
        Said::Text(text) => json!({"role": "assistant", "content": text}),
        Said::Endless => json!({"role": "assistant", "content": ""}),
        Said::Null => json!({"role": "assistant", "content": null}),
        Said::Tool(name) => {
            let call =
                json!({"id": "call_dev", "type": "function", "function": {"name": name, "arguments": "{}"}});
            json!({"role": "assistant", "content": null, "tool_calls": [call]})
        }
    };
    let mut answer = json!({
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "usage": reply.usage(),
    });
    if reasoning {
        message["reasoning_content"] = "I think about it.".into();
    } else {
        answer["id"] = reply.id.clone().into();
    }
    answer["choices"] =
        json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": reply.finish_reason()}]);
    answer
}
