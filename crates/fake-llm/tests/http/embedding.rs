use serde_json::{Value, json};

use crate::client::{Client, json};

async fn embedded(client: &Client, body: &Value) -> Vec<Vec<f64>> {
    let answer = json(client.at("POST", "/v1/embeddings").json(body).send().await.unwrap(), 200).await;
    assert!(answer["usage"]["prompt_tokens"].is_u64());
    let data = answer["data"].as_array().unwrap();
    assert!(data.iter().zip(0..).all(|(one, index)| one["index"] == index));
    data.iter().map(|one| serde_json::from_value(one["embedding"].clone()).unwrap()).collect()
}

#[tokio::test]
async fn vectors_are_the_same_every_time_and_of_length_one() {
    let client = Client::new();
    let one = embedded(&client, &json!({"model": "m", "input": "I like tea"})).await;
    let two =
        embedded(&client, &json!({"model": "m", "input": ["I like tea", "rain"], "dimensions": 8})).await;
    assert_eq!((one.len(), one[0].len(), two.len(), two[1].len()), (1, 64, 2, 8));
    assert_eq!(one, embedded(&Client::new(), &json!({"model": "m", "input": ["I like tea"]})).await);
    for vector in one.iter().chain(&two) {
        assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    }
}

#[tokio::test]
async fn messages_without_text_are_refused() {
    let client = Client::new();
    for body in
        [json!({}), json!({"input": []}), json!({"input": [1]}), json!({"input": "a", "dimensions": 0})]
    {
        json(client.at("POST", "/v1/embeddings").json(&body).send().await.unwrap(), 400).await;
    }
}
