//! A loaded model: from texts to vectors.

pub(crate) mod checkpoint;
mod config;
mod forward;
mod threads;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use memcloud_kernels::{Isa, Kernels};
use rayon::prelude::*;

use self::checkpoint::Checkpoint;
use self::config::{Config, Pooling, sentence_settings};
use self::forward::{Encoder, Workspace};
pub(crate) use self::threads::Threads;
use crate::Error;
use crate::tokenizer::Tokenizer;
use crate::weights::{DEFAULT_WEIGHTS_SHA256, ModelFiles};

/// Most tokens in one forward pass. More would need more memory (about 10 kB a token) and would not be faster, because
/// the data between layers would no longer stay in the cache.
const CHUNK_TOKENS: usize = 256;
/// Fewest tokens in one forward pass of a batch: below this, streaming the weights costs more than the arithmetic.
const SMALLEST_CHUNK: usize = 96;

/// How to load a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The instruction set; the fastest of the machine by default.
    pub isa: Option<Isa>,
    /// Number of threads; by default as many as the process may use.
    pub threads: Option<NonZeroUsize>,
}

/// A BERT-type sentence encoder, ready to use from any number of threads.
#[derive(Debug)]
pub struct Model {
    tokenizer: Tokenizer,
    encoder: Encoder,
    config: Config,
    pooling: Pooling,
    max_tokens: usize,
    space: String,
    isa: Isa,
    threads: usize,
    pool: Threads,
    workspaces: Mutex<Vec<Workspace>>,
}

impl Model {
    /// Loads the model.
    ///
    /// # Errors
    ///
    /// If a file is missing, damaged, or describes a model that is not supported; the text says what to do. Also if the
    /// threads cannot be started.
    pub fn load(files: &ModelFiles, options: Options) -> Result<Self, Error> {
        let isa = options.isa.unwrap_or_else(Isa::detect);
        let kernels = Kernels::new(isa)?;
        let threads = options
            .threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let pool = Threads::start(threads, "embed", || ())?;

        files.check_files()?;
        let config = Config::read(&files.config)?;
        let (max_tokens, pooling) = sentence_settings(files, &config)?;
        let tokenizer = Tokenizer::load(&files.tokenizer)?;
        if tokenizer.vocabulary_size() > config.vocab_size {
            let what = format!(
                "vocab_size is {}, the tokenizer has {}",
                config.vocab_size,
                tokenizer.vocabulary_size()
            );
            return Err(Error::unsupported(&files.config, what));
        }
        let mut checkpoint = Checkpoint::read(&files.weights, &config)?;
        files.check_hash(&checkpoint.hash)?;
        let space = space_name(files, &config, &checkpoint.hash)?;
        let pack = || Encoder::new(kernels, &config, &mut checkpoint, threads);
        let encoder = pool.install(pack)?;
        let workspaces = Mutex::default();
        Ok(Self { tokenizer, encoder, config, pooling, max_tokens, space, isa, threads, pool, workspaces })
    }

    /// Runs `work` on one of the model's threads, where [`Model::embed`] starts without waking another.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// The vectors of `texts`, in their order, each of length 1. A thread of a pool computes with the others of that pool, any
    /// other one with the model's own threads.
    ///
    /// Texts beyond [`Model::max_tokens`] are cut there. An empty text has a vector as well.
    pub fn embed(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        if threads::is_inside() {
            return self.embed_here(texts);
        }
        self.pool.install(|| self.embed_here(texts))
    }

    /// Computes with the threads of this thread's pool.
    fn embed_here(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let tokens: Vec<_> = if self.threads == 1 {
            texts.iter().map(|text| self.tokenize(text)).collect()
        } else {
            texts.par_iter().with_min_len(16).map(|text| self.tokenize(text)).collect()
        };
        self.embed_tokens(&tokens)
    }

    /// The vector of one text; see [`Model::embed`].
    pub fn embed_one(&self, text: &str) -> Vec<f32> {
        self.embed(&[text]).pop().unwrap_or_default()
    }

    /// Numbers in a vector.
    pub fn dimensions(&self) -> usize {
        self.config.hidden_size
    }

    /// Name of the vector space: vectors may be compared only within one. It does not depend
    /// on the instruction set: their results agree far more closely than ranking can distinguish.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The threads in use.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Where texts are cut, in tokens including the two that frame a text.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Number of tokens that [`Model::embed`] reads of `text`, including the two that frame it.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.tokenize(text).len()
    }

    /// Floating-point operations that texts of these numbers of tokens need at least.
    ///
    /// With hidden size H, inner size I and L layers: per token `2 (4 H^2 + 2 H I) L` in the linear layers
    /// (12 H^2 of multiply-adds when I = 4 H) and, in a text of n tokens, `4 n H L` in attention. For the
    /// default model that is 21.2 million a token and 9,216 n. GELU, softmax and norms are not counted.
    pub fn flops(&self, token_counts: impl IntoIterator<Item = usize>) -> f64 {
        let (hidden, inner) = (self.config.hidden_size as f64, self.config.intermediate_size as f64);
        let layers = self.config.num_hidden_layers as f64;
        let linear = 2.0 * (4.0 * hidden * hidden + 2.0 * hidden * inner) * layers;
        let attention = 4.0 * hidden * layers;
        token_counts.into_iter().map(|tokens| tokens as f64 * (linear + attention * tokens as f64)).sum()
    }

    fn tokenize(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, self.max_tokens)
    }

    fn embed_tokens(&self, tokens: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        // Long texts first, so that the last chunks are small.
        order.sort_by_key(|&i| std::cmp::Reverse(tokens[i].len()));
        let total: usize = tokens.iter().map(Vec::len).sum();
        let mut vectors = vec![Vec::new(); tokens.len()];
        let results = if self.threads == 1 || total <= CHUNK_TOKENS {
            let chunks = chunks(&order, tokens, 1);
            chunks.iter().map(|chunk| self.embed_chunk(chunk, tokens, self.threads > 1)).collect()
        } else {
            self.embed_chunks(&chunks(&order, tokens, self.threads), tokens)
        };
        for (index, vector) in results.into_iter().flatten() {
            vectors[index] = vector;
        }
        vectors
    }

    /// All threads take chunks until none is left.
    fn embed_chunks(&self, chunks: &[&[usize]], tokens: &[Vec<u32>]) -> Vec<Vec<(usize, Vec<f32>)>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut results = Vec::new();
            while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                results.extend(self.embed_chunk(chunk, tokens, false));
            }
            results
        };
        rayon::broadcast(|_| work())
    }

    /// One forward pass over the texts at the indices in `chunk`.
    fn embed_chunk(&self, chunk: &[usize], tokens: &[Vec<u32>], fork: bool) -> Vec<(usize, Vec<f32>)> {
        let sequences: Vec<&[u32]> = chunk.iter().map(|&i| tokens[i].as_slice()).collect();
        let mut workspace = self.workspaces().pop().unwrap_or_default();
        let mut rest = self.encoder.forward(&sequences, &mut workspace, fork);
        let mut results = Vec::with_capacity(chunk.len());
        for (&index, sequence) in chunk.iter().zip(&sequences) {
            let (rows, after) = rest.split_at(sequence.len() * self.config.hidden_size);
            results.push((index, self.pool_rows(rows)));
            rest = after;
        }
        self.workspaces().push(workspace);
        results
    }

    fn workspaces(&self) -> std::sync::MutexGuard<'_, Vec<Workspace>> {
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One vector of length 1 from the vectors of the tokens. The mean needs no division: the vector is
    /// normalized afterwards.
    fn pool_rows(&self, rows: &[f32]) -> Vec<f32> {
        let mut rows = rows.chunks_exact(self.config.hidden_size);
        let mut vector = rows.next().map(<[f32]>::to_vec).unwrap_or_default();
        if self.pooling == Pooling::Mean {
            for row in rows {
                vector.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length > 0.0 {
            for value in &mut vector {
                *value /= length;
            }
        }
        vector
    }
}

/// Cuts `order`, in which texts get shorter, into chunks for `threads` threads. Chunks get smaller toward
/// the end, so that all threads finish at about the same time.
fn chunks<'a>(order: &'a [usize], tokens: &[Vec<u32>], threads: usize) -> Vec<&'a [usize]> {
    let mut left: usize = order.iter().map(|&i| tokens[i].len()).sum();
    let mut chunks = Vec::new();
    let mut rest = order;
    while !rest.is_empty() {
        let wanted = if threads == 1 {
            CHUNK_TOKENS
        } else {
            (left / (2 * threads)).clamp(SMALLEST_CHUNK, CHUNK_TOKENS)
        };
        let (mut count, mut sum) = (0, 0);
        for &i in rest {
            if count > 0 && sum + tokens[i].len() > wanted {
                break;
            }
            sum += tokens[i].len();
            count += 1;
        }
        let (chunk, after) = rest.split_at(count);
        chunks.push(chunk);
        rest = after;
        left -= sum;
    }
    chunks
}

/// The default model has a name; others are distinguished by the hash of their files.
fn space_name(files: &ModelFiles, config: &Config, weights: &str) -> Result<String, Error> {
    let dimensions = config.hidden_size;
    if weights == DEFAULT_WEIGHTS_SHA256 {
        return Ok(format!("local/all-MiniLM-L6-v2/{dimensions}"));
    }
    let folder = files.dir.file_name().and_then(|name| name.to_str());
    let name = match folder {
        Some(name) if name != "model" => name,
        _ => config.name.as_deref().and_then(|name| name.rsplit('/').next()).unwrap_or("model"),
    };
    let mut hash = files.hash_with(weights)?;
    hash.truncate(8);
    Ok(format!("local/{name}-{hash}/{dimensions}"))
}
