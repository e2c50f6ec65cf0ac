//! The answers of widely used endpoints, each in its own format.

use memcloud_ports::Tokens;

use crate::{said, streamed, text};

const OPENAI: &str = include_str!("shapes/openai.json");
const OPENAI_STREAM: &str = include_str!("shapes/openai.sse");
const AZURE: &str = include_str!("shapes/azure.json");
const AZURE_STREAM: &str = include_str!("shapes/azure.sse");
const OLLAMA: &str = include_str!("shapes/ollama.json");
const OLLAMA_STREAM: &str = include_str!("shapes/ollama.sse");
const VLLM: &str = include_str!("shapes/vllm.json");
/// vLLM with running usage in every event.
const VLLM_STREAM: &str = include_str!("shapes/vllm.sse");
const LLAMA_CPP: &str = include_str!("shapes/llama_cpp.json");
const LLAMA_CPP_STREAM: &str = include_str!("shapes/llama_cpp.sse");

#[tokio::test]
async fn whole_answers() {
    for body in [OPENAI, AZURE, OLLAMA, VLLM, LLAMA_CPP] {
        let completion = said("application/json", body).await.unwrap();
        assert_eq!((&*completion.text, completion.calls_tools), ("Hello!", false), "{body}");
        assert_eq!(completion.tokens, Some(Tokens { prompt: 19, completion: 10 }), "{body}");
        assert_eq!(completion.raw, body);
    }
}

#[tokio::test]
async fn streamed_answers() {
    for body in [OPENAI_STREAM, AZURE_STREAM, OLLAMA_STREAM, VLLM_STREAM, LLAMA_CPP_STREAM] {
        let (deltas, failed) = streamed(body).await;
        assert!(failed.is_none(), "{body}: {failed:?}");
        assert_eq!(text(&deltas), "Hello!", "{body}");
        let tokens = deltas.iter().filter_map(|delta| delta.tokens).next_back();
        assert_eq!(tokens, Some(Tokens { prompt: 19, completion: 10 }), "{body}");
        let raw: Vec<u8> = deltas.iter().flat_map(|delta| delta.raw.to_vec()).collect();
        assert_eq!(raw, body.as_bytes());
        assert_eq!(deltas.last().map(|delta| &delta.raw[..]), Some(&b"data: [DONE]\n\n"[..]));
    }
}
