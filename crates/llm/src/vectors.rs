//! What an answer of the embeddings says.

use memcloud_ports::Refusal;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::EndpointError;

/// Words by which endpoints say that a text has too many tokens, or a request too many texts: `OpenAI`, vLLM, llama.cpp
/// and text-embeddings-inference.
const TOO_MUCH: [&str; 6] = ["too large", "too long", "maximum", "max_tokens", "exceed", "context length"];

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The vectors for so many texts, in the order of the texts, at unit length.
pub(crate) fn read(mut answer: Map<String, Value>, texts: usize) -> Result<Vec<Vec<f32>>, EndpointError> {
    let data = answer.remove("data").unwrap_or_default();
    let mut items: Vec<Item> = serde_json::from_value(data)
        .map_err(|_| EndpointError::Unusable("something that is no list of vectors".into()))?;
    if items.len() != texts {
        return Err(EndpointError::Unusable(format!("{} vectors for {texts} texts", items.len())));
    }
    if items.iter().any(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
        if items.iter().enumerate().any(|(place, item)| item.index != Some(place)) {
            return Err(EndpointError::Unusable("vectors that do not say which text each belongs to".into()));
        }
    }
    items.into_iter().map(|item| unit(item.embedding)).collect()
}

fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, EndpointError> {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !length.is_finite() || length <= 0.0 {
        return Err(EndpointError::Unusable("a vector without a direction".into()));
    }
    for x in &mut vector {
        *x = (f64::from(*x) / length) as f32;
    }
    Ok(vector)
}

/// Whether the endpoint says that this was too much at once.
pub(crate) fn too_much(refusal: &Refusal) -> bool {
    let body = || String::from_utf8_lossy(&refusal.body).to_lowercase();
    match refusal.status {
        413 => true,
        400 | 422 | 500 => {
            refusal.is_overflow() || {
                let body = body();
                TOO_MUCH.iter().any(|words| body.contains(words))
            }
        }
        _ => false,
    }
}
