use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use memcloud_domain::Error;
use memcloud_ports::Embedder;

/// An embedder without a model file: each word adds to a few of 64 dimensions, chosen by its hash. Texts that share words
/// are similar.
#[derive(Clone, Copy, Debug, Default)]
pub struct BagOfWords;

const DIMENSIONS: usize = 64;

impl BagOfWords {
    fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.01_f32; DIMENSIONS];
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
        {
            for part in 0..3 {
                let mut hasher = DefaultHasher::new();
                (word, part).hash(&mut hasher);
                let hash = hasher.finish();
                vector[(hash % 64) as usize] += if hash & 64 == 0 { 1.0 } else { -1.0 };
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter().map(|x| x / length).collect()
    }
}

#[async_trait]
impl Embedder for BagOfWords {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        Ok(Self::vector(text))
    }

    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }

    fn space(&self) -> &'static str {
        "test/bag-of-words/64"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }
}
