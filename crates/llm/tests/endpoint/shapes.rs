//! The answers of the endpoints that people use, each in its own shape.

use memcloud_memory::ports::Tokens;

use crate::{said, streamed, text};

const OPENAI: &str = r#"{
  "id": "chatcmpl-B1", "object": "chat.completion", "created": 1741569952, "model": "gpt-x-2026-01-01",
  "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!", "refusal": null, "annotations": []},
    "logprobs": null, "finish_reason": "stop"}],
  "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 4, "accepted_prediction_tokens": 0}},
  "service_tier": "default", "system_fingerprint": null
}"#;

const OPENAI_STREAM: &str = r#"data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1,"model":"gpt-x","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x9"}

data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"q"}

data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{"content":"lo!"},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

data: {"id":"chatcmpl-B1","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}

data: [DONE]

"#;

const AZURE: &str = r#"{
  "choices": [{"content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}, "finish_reason": "stop",
    "index": 0, "logprobs": null, "message": {"content": "Hello!", "role": "assistant"}}],
  "created": 1, "id": "chatcmpl-A1", "model": "gpt-x", "object": "chat.completion",
  "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
  "system_fingerprint": "fp_1", "usage": {"completion_tokens": 10, "prompt_tokens": 19, "total_tokens": 29}
}"#;

const AZURE_STREAM: &str = r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}

data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-A1","model":"gpt-x","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_results":{"hate":{"filtered":false}},"delta":{"content":"Hello!"},"finish_reason":null,"index":0}],"created":1,"id":"chatcmpl-A1","model":"gpt-x","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_offsets":{"check_offset":1},"content_filter_results":{},"finish_reason":null,"index":0}],"created":0,"id":"","model":"","object":""}

data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0}],"created":1,"id":"chatcmpl-A1"}

data: {"choices":[],"usage":{"completion_tokens":10,"prompt_tokens":19,"total_tokens":29}}

data: [DONE]

"#;

const OLLAMA: &str = r#"{"id":"chatcmpl-12","object":"chat.completion","created":1,"model":"llama3.2",
"system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!",
"reasoning":"They greet me."},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,
"total_tokens":29}}
"#;

const OLLAMA_STREAM: &str = r#"data: {"id":"chatcmpl-12","object":"chat.completion.chunk","created":1,"model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"They"},"finish_reason":null}]}

data: {"id":"chatcmpl-12","object":"chat.completion.chunk","created":1,"model":"llama3.2","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello!"},"finish_reason":null}]}

data: {"id":"chatcmpl-12","object":"chat.completion.chunk","created":1,"model":"llama3.2","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}

data: {"id":"chatcmpl-12","object":"chat.completion.chunk","created":1,"model":"llama3.2","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}

data: [DONE]

"#;

const VLLM: &str = r#"{"id":"chatcmpl-5f","object":"chat.completion","created":1,"model":"Qwen/Qwen3-8B",
"choices":[{"index":0,"message":{"role":"assistant","content":"Hello!","refusal":null,"annotations":null,
"audio":null,"function_call":null,"tool_calls":[],"reasoning_content":"They greet me."},"logprobs":null,
"finish_reason":"stop","stop_reason":null}],"service_tier":null,"usage":{"prompt_tokens":19,"total_tokens":29,
"completion_tokens":10,"prompt_tokens_details":null},"prompt_logprobs":null,"kv_transfer_params":null}"#;

/// vLLM with the usage counted up in every event.
const VLLM_STREAM: &str = r#"data: {"id":"chatcmpl-5f","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":19,"total_tokens":19,"completion_tokens":0}}

data: {"id":"chatcmpl-5f","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"reasoning_content":"They greet me."},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":19,"total_tokens":24,"completion_tokens":5}}

data: {"id":"chatcmpl-5f","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":"Hello!"},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":19,"total_tokens":29,"completion_tokens":10}}

data: {"id":"chatcmpl-5f","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[],"usage":{"prompt_tokens":19,"total_tokens":29,"completion_tokens":10}}

data: [DONE]

"#;

const LLAMA_CPP: &str = r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant",
"content":"Hello!"}}],"created":1,"model":"model.gguf","system_fingerprint":"b6000-abc","object":"chat.completion",
"usage":{"completion_tokens":10,"prompt_tokens":19,"total_tokens":29},"id":"chatcmpl-q",
"timings":{"cache_n":0,"prompt_n":19,"prompt_ms":30.5,"predicted_n":10,"predicted_ms":90.25}}"#;

const LLAMA_CPP_STREAM: &str = r#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-q","model":"model.gguf","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hello!"}}],"created":1,"id":"chatcmpl-q","model":"model.gguf","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1,"id":"chatcmpl-q","object":"chat.completion.chunk"}

data: {"choices":[],"created":1,"id":"chatcmpl-q","usage":{"completion_tokens":10,"prompt_tokens":19,"total_tokens":29},"timings":{"prompt_n":19,"predicted_n":10}}

data: [DONE]

"#;

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
