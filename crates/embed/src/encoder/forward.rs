//! The forward pass.
//!
//! Each layer is cut into shards, each with some of the heads and some of the inner features. A shard computes
//! its own addend of the layer's output from the layer's input without the others, so that two threads
//! synchronize only twice in a layer; on one thread, the shards run in turn and add up in place. The sequences
//! of a batch are concatenated without padding; only attention needs their boundaries.

use half::f16;
use half::slice::HalfFloatSliceExt;
use memcloud_kernels::{Kernels, LinearScratch, PackedLinear, Store};
use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::config::Config;
use crate::Error;

/// A BERT encoder with packed weights.
#[derive(Debug)]
pub(super) struct Encoder {
    kernels: Kernels,
    hidden: usize,
    head_dim: usize,
    epsilon: f32,
    /// `[vocabulary][hidden]`.
    words: Vec<f16>,
    /// `[positions][hidden]`, with the vector of token type 0 added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    shards: Vec<Shard>,
    attention_norm: Norm,
    output_norm: Norm,
}

/// A share of a layer's heads and inner features.
#[derive(Debug)]
struct Shard {
    heads: usize,
    /// Queries (divided by the square root of the head's width), keys and values of its heads.
    qkv: PackedLinear,
    attention_output: PackedLinear,
    intermediate: PackedLinear,
    output: PackedLinear,
}

#[derive(Debug)]
struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

/// Buffers of a forward pass; they grow with the batch and are reused.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    x: Vec<f32>,
    shards: Vec<ShardSpace>,
}

#[derive(Debug, Default)]
struct ShardSpace {
    qkv: Vec<f32>,
    context: Vec<f32>,
    inner: Vec<f32>,
    out: Vec<f32>,
    linear: LinearScratch,
    attention: Vec<f32>,
}

/// A buffer of `len` values; its contents are unspecified.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl Encoder {
    /// Packs the tensors of `checkpoint` for `kernels`, in as many shards as `threads` can use.
    pub(super) fn new(
        kernels: Kernels,
        config: &Config,
        checkpoint: &mut Checkpoint,
        threads: usize,
    ) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        let mut positions = checkpoint
            .take("embeddings.position_embeddings.weight", &[config.max_position_embeddings, hidden])?;
        let types = take_token_types(checkpoint, hidden)?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut().zip(&types).for_each(|(p, t)| *p += t);
        }
        let norm = Norm::take(checkpoint, "embeddings.LayerNorm", hidden)?;
        let tensors: Vec<_> = (0..config.num_hidden_layers)
            .map(|layer| LayerTensors::take(checkpoint, config, layer))
            .collect::<Result<_, _>>()?;
        let shards = shard_count(config, threads);
        let layers = tensors.into_par_iter().map(|t| t.pack(kernels, config, shards)).collect();
        Ok(Self {
            kernels,
            hidden,
            head_dim: hidden / config.num_attention_heads,
            epsilon: config.layer_norm_eps,
            words: checkpoint.take_words(),
            positions,
            norm,
            layers,
        })
    }

    /// Token vectors of all `sequences`, one after another: `[tokens][hidden]`, in the workspace.
    ///
    /// With `fork`, the shards of a layer are offered to other threads of the current pool.
    pub(super) fn forward<'w>(
        &self,
        sequences: &[&[u32]],
        workspace: &'w mut Workspace,
        fork: bool,
    ) -> &'w [f32] {
        let rows = sequences.iter().map(|s| s.len()).sum();
        let shards = self.layers.first().map_or(1, |layer| layer.shards.len());
        workspace.shards.resize_with(shards, ShardSpace::default);
        let Workspace { x, shards: spaces } = workspace;
        let x = sized(x, rows * self.hidden);
        self.look_up(sequences, x);
        self.normalize(x, &[], &self.norm);
        for layer in &self.layers {
            self.add_shards(layer, x, spaces, fork, &layer.attention_norm, &|shard, x, space, store| {
                self.attend(shard, sequences, x, space, store);
            });
            self.add_shards(layer, x, spaces, fork, &layer.output_norm, &|shard, x, space, store| {
                feed_forward(shard, rows, x, space, store);
            });
        }
        x
    }

    /// Sum of word, position and type embeddings.
    fn look_up(&self, sequences: &[&[u32]], x: &mut [f32]) {
        let mut rows = x.chunks_exact_mut(self.hidden);
        for sequence in sequences {
            for (id, position) in sequence.iter().zip(self.positions.chunks_exact(self.hidden)) {
                let Some(row) = rows.next() else { return };
                let word = *id as usize * self.hidden;
                self.words[word..word + self.hidden].convert_to_f32_slice(row);
                row.iter_mut().zip(position).for_each(|(x, p)| *x += p);
            }
        }
    }

    fn normalize(&self, x: &mut [f32], residuals: &[&[f32]], norm: &Norm) {
        self.kernels.layer_norm(x, residuals, &norm.gamma, &norm.beta, self.epsilon);
    }

    /// Runs `work` for each shard of the layer, then `x = norm(x + sum of the results)`.
    fn add_shards(
        &self,
        layer: &Layer,
        x: &mut [f32],
        spaces: &mut [ShardSpace],
        fork: bool,
        norm: &Norm,
        work: &(impl Fn(&Shard, &[f32], &mut ShardSpace, Store) + Sync),
    ) {
        let len = x.len();
        if fork {
            fork_shards(&layer.shards, x, spaces, work);
            // No layer has more shards than `shard_count` returns.
            let mut addends = [&[][..]; MAX_SHARDS];
            for (addend, space) in addends.iter_mut().zip(spaces.iter()) {
                *addend = &space.out[..len];
            }
            self.normalize(x, &addends[..spaces.len().min(MAX_SHARDS)], norm);
        } else if let Some(space) = spaces.first_mut() {
            let mut store = Store::Replace;
            for shard in &layer.shards {
                work(shard, x, space, store);
                store = Store::Add;
            }
            self.normalize(x, &[&space.out[..len]], norm);
        }
    }

    fn attend(&self, shard: &Shard, sequences: &[&[u32]], x: &[f32], space: &mut ShardSpace, store: Store) {
        let rows = x.len() / self.hidden;
        let (width, stride) = (shard.attention_output.inputs(), shard.qkv.outputs());
        let qkv = sized(&mut space.qkv, rows * stride);
        shard.qkv.forward(x, rows, qkv, Store::Replace, &mut space.linear);
        let context = sized(&mut space.context, rows * width);
        let mut first = 0;
        for sequence in sequences {
            let last = first + sequence.len();
            self.kernels.attention(
                &qkv[first * stride..last * stride],
                sequence.len(),
                shard.heads,
                self.head_dim,
                &mut context[first * width..last * width],
                &mut space.attention,
            );
            first = last;
        }
        let out = sized(&mut space.out, rows * shard.attention_output.outputs());
        shard.attention_output.forward(context, rows, out, store, &mut space.linear);
    }
}

fn feed_forward(shard: &Shard, rows: usize, x: &[f32], space: &mut ShardSpace, store: Store) {
    let inner = sized(&mut space.inner, rows * shard.intermediate.outputs());
    shard.intermediate.forward(x, rows, inner, Store::Gelu, &mut space.linear);
    let out = sized(&mut space.out, rows * shard.output.outputs());
    shard.output.forward(inner, rows, out, store, &mut space.linear);
}

/// Halves the shards until each thread has one.
fn fork_shards(
    shards: &[Shard],
    x: &[f32],
    spaces: &mut [ShardSpace],
    work: &(impl Fn(&Shard, &[f32], &mut ShardSpace, Store) + Sync),
) {
    match (shards, spaces) {
        ([], _) | (_, []) => {}
        ([shard], [space, ..]) => work(shard, x, space, Store::Replace),
        (shards, spaces) => {
            let middle = shards.len() / 2;
            let (left, right) = shards.split_at(middle);
            let (left_spaces, right_spaces) = spaces.split_at_mut(middle.min(spaces.len()));
            rayon::join(
                || fork_shards(left, x, left_spaces, work),
                || fork_shards(right, x, right_spaces, work),
            );
        }
    }
}

/// More threads than this bring nothing for one text.
const MAX_SHARDS: usize = 4;

/// The largest power of two up to the threads that divides heads and inner features evenly.
fn shard_count(config: &Config, threads: usize) -> usize {
    let divides = |n: &usize| {
        *n <= threads
            && config.num_attention_heads.is_multiple_of(*n)
            && config.intermediate_size.is_multiple_of(*n)
    };
    [MAX_SHARDS, 2].into_iter().find(divides).unwrap_or(1)
}

impl Norm {
    fn take(checkpoint: &mut Checkpoint, name: &str, width: usize) -> Result<Self, Error> {
        Ok(Self {
            gamma: checkpoint.take(&format!("{name}.weight"), &[width])?,
            beta: checkpoint.take(&format!("{name}.bias"), &[width])?,
        })
    }
}

/// The vector of token type 0, the only one used for single texts.
fn take_token_types(checkpoint: &mut Checkpoint, hidden: usize) -> Result<Vec<f32>, Error> {
    let name = "embeddings.token_type_embeddings.weight";
    let mut types = checkpoint.take(name, &[2, hidden])?;
    types.truncate(hidden);
    Ok(types)
}

/// Weights, `[outputs][inputs]`, and biases, `[outputs]`.
struct Dense {
    weights: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

impl Dense {
    fn take(checkpoint: &mut Checkpoint, name: &str, outputs: usize, inputs: usize) -> Result<Self, Error> {
        Ok(Self {
            weights: checkpoint.take(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: checkpoint.take(&format!("{name}.bias"), &[outputs])?,
            inputs,
        })
    }

    /// Appends the outputs `from..to`.
    fn append_outputs(&self, from: usize, to: usize, weights: &mut Vec<f32>, bias: &mut Vec<f32>) {
        weights.extend_from_slice(&self.weights[from * self.inputs..to * self.inputs]);
        bias.extend_from_slice(&self.bias[from..to]);
    }

    /// The outputs `from..to`, packed.
    fn pack_outputs(&self, kernels: Kernels, from: usize, to: usize) -> PackedLinear {
        let weights = &self.weights[from * self.inputs..to * self.inputs];
        PackedLinear::new(kernels, weights, &self.bias[from..to], to - from, self.inputs)
    }

    /// All outputs, restricted to the inputs `from..to`, packed. Only the first share has the bias.
    fn pack_inputs(&self, kernels: Kernels, from: usize, to: usize) -> PackedLinear {
        let mut weights = Vec::with_capacity(self.bias.len() * (to - from));
        for row in self.weights.chunks_exact(self.inputs) {
            weights.extend_from_slice(&row[from..to]);
        }
        let bias = if from == 0 { self.bias.clone() } else { vec![0.0; self.bias.len()] };
        PackedLinear::new(kernels, &weights, &bias, bias.len(), to - from)
    }
}

/// A layer as the file stores it.
struct LayerTensors {
    query: Dense,
    key: Dense,
    value: Dense,
    attention_output: Dense,
    intermediate: Dense,
    output: Dense,
    attention_norm: Norm,
    output_norm: Norm,
}

impl LayerTensors {
    fn take(checkpoint: &mut Checkpoint, config: &Config, layer: usize) -> Result<Self, Error> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let mut dense = |part: &str, outputs, inputs| Dense::take(checkpoint, &name(part), outputs, inputs);
        Ok(Self {
            query: dense("attention.self.query", hidden, hidden)?,
            key: dense("attention.self.key", hidden, hidden)?,
            value: dense("attention.self.value", hidden, hidden)?,
            attention_output: dense("attention.output.dense", hidden, hidden)?,
            intermediate: dense("intermediate.dense", inner, hidden)?,
            output: dense("output.dense", hidden, inner)?,
            attention_norm: Norm::take(checkpoint, &name("attention.output.LayerNorm"), hidden)?,
            output_norm: Norm::take(checkpoint, &name("output.LayerNorm"), hidden)?,
        })
    }

    fn pack(mut self, kernels: Kernels, config: &Config, shards: usize) -> Layer {
        let head_dim = config.hidden_size / config.num_attention_heads;
        // Scores are divided by the square root of the head's width: here, once.
        let scale = 1.0 / (head_dim as f32).sqrt();
        self.query.weights.iter_mut().chain(&mut self.query.bias).for_each(|w| *w *= scale);
        let shards = (0..shards).map(|shard| self.pack_shard(kernels, config, shard, shards)).collect();
        Layer { shards, attention_norm: self.attention_norm, output_norm: self.output_norm }
    }

    fn pack_shard(&self, kernels: Kernels, config: &Config, shard: usize, shards: usize) -> Shard {
        let width = config.hidden_size / shards;
        let (from, to) = (shard * width, (shard + 1) * width);
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for dense in [&self.query, &self.key, &self.value] {
            dense.append_outputs(from, to, &mut weights, &mut bias);
        }
        let inner = config.intermediate_size / shards;
        let (inner_from, inner_to) = (shard * inner, (shard + 1) * inner);
        Shard {
            heads: config.num_attention_heads / shards,
            qkv: PackedLinear::new(kernels, &weights, &bias, 3 * width, config.hidden_size),
            attention_output: self.attention_output.pack_inputs(kernels, from, to),
            intermediate: self.intermediate.pack_outputs(kernels, inner_from, inner_to),
            output: self.output.pack_inputs(kernels, inner_from, inner_to),
        }
    }
}
