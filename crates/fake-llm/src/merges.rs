//! Merges facts of one tag: facts with the same name become one.

use serde::Deserialize;
use serde_json::{Value, json};

/// The most facts that one merge combines.
const GROUP: usize = 5;

#[derive(Debug, Deserialize)]
struct MergeInput {
    facts: Vec<Fact>,
}

#[derive(Debug, Deserialize)]
struct Fact {
    id: Value,
    feature: String,
    value: String,
}

/// The merges for this JSON, as JSON. `None` when it cannot be read.
pub(crate) fn merges(asked: &str) -> String {
    let facts = serde_json::from_str::<MergeInput>(asked).map_or_else(|_| vec![], |asked| asked.facts);
    let mut features: Vec<&str> = Vec::new();
    for fact in &facts {
        if !features.contains(&fact.feature.as_str()) {
            features.push(&fact.feature);
        }
    }
    let mut merges = Vec::new();
    for feature in features {
        let alike: Vec<&Fact> = facts.iter().filter(|fact| fact.feature == feature).collect();
        merges.extend(alike.chunks(GROUP).filter(|group| group.len() > 1).map(|group| {
            let ids: Vec<&Value> = group.iter().map(|fact| &fact.id).collect();
            let values: Vec<&str> = group.iter().map(|fact| fact.value.as_str()).collect();
            json!({"facts": ids, "feature": feature, "value": values.join(", ")})
        }));
    }
    json!({"merges": merges}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_one_feature_become_one() {
        let values = ["a", "b", "c", "d", "e", "f", "g"];
        let mut facts: Vec<Value> = values
            .iter()
            .zip(1..)
            .map(|(value, id)| json!({"id": id, "feature": "likes", "value": value}))
            .collect();
        facts.push(json!({"id": 8, "feature": "name", "value": "Ann"}));
        let answer = merges(&json!({"tag": "Likes", "facts": facts}).to_string());
        let expected = json!({"merges": [
            {"facts": [1, 2, 3, 4, 5], "feature": "likes", "value": "a, b, c, d, e"},
            {"facts": [6, 7], "feature": "likes", "value": "f, g"},
        ]});
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), expected);
        assert_eq!(merges("nonsense"), r#"{"merges":[]}"#);
    }
}
