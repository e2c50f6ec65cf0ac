//! What `config.json` says about a model.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::weights::ModelFiles;

/// The default length limit, as in the model's training, unless its files say otherwise.
const DEFAULT_MAX_TOKENS: usize = 256;

/// Sizes of a BERT encoder.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Config {
    pub model_type: Option<String>,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub vocab_size: usize,
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f32,
    pub hidden_act: Option<String>,
    pub position_embedding_type: Option<String>,
    #[serde(rename = "_name_or_path")]
    pub name: Option<String>,
}

fn default_epsilon() -> f32 {
    1e-12
}

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean.
    Mean,
    /// That of `[CLS]`.
    Cls,
}

#[derive(Deserialize)]
struct PoolingJson {
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
}

#[derive(Deserialize)]
struct SentenceJson {
    max_seq_length: Option<usize>,
}

impl Config {
    /// Reads and checks `config.json`.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let config: Self = read_json(path)?;
        config.check().map_err(|what| Error::unsupported(path, what))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let is = |name: &str, value: Option<&str>, wanted: &str| match value {
            Some(value) if value != wanted => {
                Err(format!("{name} is {value:?}, only {wanted:?} is supported"))
            }
            _ => Ok(()),
        };
        is("model_type", self.model_type.as_deref(), "bert")?;
        is("hidden_act", self.hidden_act.as_deref(), "gelu")?;
        is("position_embedding_type", self.position_embedding_type.as_deref(), "absolute")?;
        for (name, size) in [
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("vocab_size", self.vocab_size),
        ] {
            // The upper bound keeps products of two sizes far from overflow.
            if size == 0 || size > 1 << 20 {
                return Err(format!("{name} is {size}"));
            }
        }
        if !self.hidden_size.is_multiple_of(16) {
            return Err(format!("hidden_size is {}, not a multiple of 16", self.hidden_size));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let heads = self.num_attention_heads;
            return Err(format!("hidden_size {} cannot be shared among {heads} heads", self.hidden_size));
        }
        if self.max_position_embeddings < 2 {
            return Err("max_position_embeddings leaves no room for text".to_owned());
        }
        Ok(())
    }
}

/// The longest input in tokens, and the pooling.
pub(crate) fn sentence_settings(files: &ModelFiles, config: &Config) -> Result<(usize, Pooling), Error> {
    if files.pinned {
        return Ok((DEFAULT_MAX_TOKENS, Pooling::Mean));
    }
    let path = files.sentence_settings();
    let wanted = if path.is_file() { read_json::<SentenceJson>(&path)?.max_seq_length } else { None };
    let max_tokens = wanted.unwrap_or(DEFAULT_MAX_TOKENS).clamp(2, config.max_position_embeddings);

    let path = files.pooling_settings();
    if !path.is_file() {
        return Ok((max_tokens, Pooling::Mean));
    }
    let pooling: PoolingJson = read_json(&path)?;
    match (pooling.pooling_mode_mean_tokens, pooling.pooling_mode_cls_token) {
        (true, false) => Ok((max_tokens, Pooling::Mean)),
        (false, true) => Ok((max_tokens, Pooling::Cls)),
        _ => Err(Error::unsupported(&path, "only pooling by mean or by [CLS] is supported")),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::read(path, source))?;
    serde_json::from_str(&text).map_err(|error| Error::unsupported(path, error.to_string()))
}
