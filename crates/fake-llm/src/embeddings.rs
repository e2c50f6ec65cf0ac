//! `POST …/embeddings`: deterministic vectors of the words in a text.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::NAME;
use crate::calls::Call;
use crate::chat::refused;
use crate::refusal::ErrorAnswer;
use crate::request::tokens;
use crate::state::{Dialect, State};
use crate::words::stems;

/// The default and the largest number of dimensions.
const DIMENSIONS: u64 = 64;
const MOST_DIMENSIONS: u64 = 4_096;

pub(crate) async fn embeddings(
    Shared(state): Shared<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::begun(&uri.to_string(), &headers, &body);
    match state.authorize(&headers, Dialect::of(uri.path())).and_then(|()| answer(&call.body)) {
        Ok(answer) => {
            state.log().note(Call { status: Some(200), charged: true, ..call });
            tokio::time::sleep(state.delay()).await;
            Json(answer).into_response()
        }
        Err(refusal) => refused(&state, call, refusal),
    }
}

fn answer(body: &Value) -> Result<Value, ErrorAnswer> {
    let inputs: Option<Vec<&str>> = match &body["input"] {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let inputs = inputs.filter(|inputs| !inputs.is_empty());
    let inputs = inputs.ok_or_else(|| ErrorAnswer::invalid("'input' must be a text or a list of texts."))?;
    let dimensions =
        if body["dimensions"].is_null() { Some(DIMENSIONS) } else { body["dimensions"].as_u64() };
    let dimensions = dimensions.filter(|wanted| (1..=MOST_DIMENSIONS).contains(wanted));
    let dimensions =
        dimensions.ok_or_else(|| ErrorAnswer::invalid("'dimensions' must be from 1 to 4096."))? as usize;
    let used: u64 = inputs.iter().map(|text| tokens(text)).sum();
    let of = |(index, text): (usize, &&str)| {
        let vector = vector(text, dimensions);
        json!({"object": "embedding", "index": index, "embedding": vector})
    };
    Ok(json!({
        "object": "list",
        "data": inputs.iter().enumerate().map(of).collect::<Vec<_>>(),
        "model": body["model"].as_str().unwrap_or(NAME),
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }))
}

/// A unit vector in which each word adds to or subtracts from one component.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions];
    for word in stems(text) {
        let hash = fnv(&word);
        vector[hash as usize % dimensions] += if hash >> 63 == 0 { 1.0 } else { -1.0 };
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length == 0.0 {
        // A text without words still needs a unit vector.
        vector[0] = 1.0;
        return vector;
    }
    vector.iter().map(|x| x / length).collect()
}

/// FNV-1a: stable across machines and versions, unlike the standard library's hash.
fn fnv(word: &str) -> u64 {
    word.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_texts_have_similar_vectors() {
        let cosine =
            |a: &str, b: &str| -> f32 { vector(a, 64).iter().zip(vector(b, 64)).map(|(x, y)| x * y).sum() };
        assert!((cosine("I live in Oslo", "Oslo is where I lived") - 1.0).abs() < 1e-5);
        assert!(cosine("tea and coffee", "coffee") > cosine("tea and coffee", "a red bicycle"));
        for text in ["", "tea", "tea tea coffee"] {
            assert!((cosine(text, text) - 1.0).abs() < 1e-5, "{text}");
        }
    }
}
