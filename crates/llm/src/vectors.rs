//! Reads answers of the embeddings API.

use memcloud_ports::ModelError;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The vectors of this many texts, in the order of the texts and of unit length.
pub(crate) fn read(mut answer: Map<String, Value>, texts: usize) -> Result<Vec<Vec<f32>>, ModelError> {
    let data = answer.remove("data").unwrap_or_default();
    let mut items: Vec<Item> = serde_json::from_value(data)
        .map_err(|_| ModelError::Unusable { what: "something that is not a list of vectors".into() })?;
    if items.len() != texts {
        return Err(ModelError::Unusable { what: format!("{} vectors for {texts} texts", items.len()) });
    }
    if items.iter().any(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
        if items.iter().enumerate().any(|(place, item)| item.index != Some(place)) {
            return Err(ModelError::Unusable {
                what: "vectors that do not say which text each belongs to".into(),
            });
        }
    }
    items.into_iter().map(|item| unit(item.embedding)).collect()
}

fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, ModelError> {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !length.is_finite() || length <= 0.0 {
        return Err(ModelError::Unusable { what: "a vector without a direction".into() });
    }
    for x in &mut vector {
        *x = (f64::from(*x) / length) as f32;
    }
    Ok(vector)
}
