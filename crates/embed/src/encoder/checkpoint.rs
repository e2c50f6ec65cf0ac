//! Reads a safetensors file once, in order, and hashes it on the way.
//!
//! The file is never in memory as a whole. The word embeddings, half of it, become f16 piece by piece; the
//! other tensors become `f32`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use data_encoding::HEXLOWER;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::config::Config;
use crate::Error;

/// Bytes that are read, hashed and converted at a time: small enough for the second-level cache.
const PIECE: usize = 256 * 1024;
/// A header has a few kilobytes; this bound rejects files of another format.
const MAX_HEADER: u64 = 16 * 1024 * 1024;

/// The tensors of a BERT encoder.
pub(super) struct Checkpoint {
    path: std::path::PathBuf,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    words: Vec<f16>,
    /// SHA-256 of the file in hexadecimal.
    pub(super) hash: String,
}

/// Name of the word embeddings.
const WORDS: &str = "embeddings.word_embeddings.weight";

impl Checkpoint {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path, config: &Config) -> Result<Self, Error> {
        let mut reader = HashingReader::open(path).map_err(|source| Error::read(path, source))?;
        let metadata = read_header(&mut reader, path)?;
        let mut tensors = HashMap::new();
        let mut words = Vec::new();
        let mut position = 0;
        for name in metadata.offset_keys() {
            let Some(info) = metadata.info(&name) else { continue };
            let bytes = check_place(info, position)
                .map_err(|what| Error::unsupported(path, format!("{name} {what}")))?;
            position += bytes;
            let short = name.strip_prefix("bert.").unwrap_or(&name);
            let read = if short == WORDS {
                check_shape(&info.shape, &[config.vocab_size, config.hidden_size])
                    .map_err(|what| Error::unsupported(path, format!("{name} {what}")))?;
                read_f16(&mut reader, info.dtype, bytes).map(|values| words = values)
            } else if is_wanted(short) {
                read_f32(&mut reader, info.dtype, bytes)
                    .map(|values| drop(tensors.insert(short.to_owned(), (info.shape.clone(), values))))
            } else {
                reader.pieces(bytes, |_| Ok(()))
            };
            read.map_err(|source| Error::read(path, source))?;
        }
        if words.is_empty() {
            return Err(Error::unsupported(path, format!("it has no tensor {WORDS}")));
        }
        Ok(Self { path: path.to_owned(), tensors, words, hash: reader.hash() })
    }

    /// Moves the word embeddings out.
    pub(super) fn take_words(&mut self) -> Vec<f16> {
        std::mem::take(&mut self.words)
    }

    /// Moves a tensor out; it must have `shape`.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let (found, values) = self
            .tensors
            .remove(name)
            .ok_or_else(|| Error::unsupported(&self.path, format!("it has no tensor {name}")))?;
        check_shape(&found, shape)
            .map_err(|what| Error::unsupported(&self.path, format!("{name} {what}")))?;
        Ok(values)
    }
}

fn is_wanted(name: &str) -> bool {
    (name.starts_with("embeddings.") && !name.ends_with("_ids")) || name.starts_with("encoder.layer.")
}

fn check_shape(found: &[usize], wanted: &[usize]) -> Result<(), String> {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("has shape {found:?}; config.json makes it {wanted:?}"))
    }
}

/// Checks that the tensors are contiguous; returns the number of bytes.
fn check_place(info: &TensorInfo, position: usize) -> Result<usize, String> {
    let (from, to) = info.data_offsets;
    let values = info.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    let bits = values.and_then(|values| values.checked_mul(info.dtype.bitsize()));
    match bits {
        Some(bits) if from == position && to >= from && (to - from).checked_mul(8) == Some(bits) => {
            Ok(to - from)
        }
        _ => Err("has offsets that do not fit its shape".to_owned()),
    }
}

/// Reads the header and compares the size it declares with that of the file.
fn read_header(reader: &mut HashingReader, path: &Path) -> Result<Metadata, Error> {
    let read = |source| Error::read(path, source);
    let mut length = [0; 8];
    if reader.size < 8 {
        return Err(Error::damaged(path, format!("it has {} bytes", reader.size)));
    }
    reader.exactly(&mut length).map_err(read)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length + 8 > reader.size {
        return Err(Error::unsupported(path, "it does not begin like a safetensors file"));
    }
    let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
    reader.exactly(&mut header).map_err(read)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| Error::unsupported(path, format!("its safetensors header is wrong: {error}")))?;
    let data =
        metadata.offset_keys().last().and_then(|name| metadata.info(name)).map_or(0, |i| i.data_offsets.1);
    let expected = length + 8 + data as u64;
    if expected != reader.size {
        let what = format!("its header promises {expected} bytes, it has {}", reader.size);
        return Err(Error::damaged(path, what));
    }
    Ok(metadata)
}

/// A file that is hashed while it is read in order.
struct HashingReader {
    file: File,
    size: u64,
    hasher: Sha256,
    piece: Vec<u8>,
}

impl HashingReader {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size, hasher: Sha256::new(), piece: vec![0; PIECE] })
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(buffer)?;
        self.hasher.update(buffer);
        Ok(())
    }

    /// Passes on the next `bytes` bytes in pieces that hold whole values of up to 8 bytes.
    fn pieces(&mut self, bytes: usize, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let piece = &mut self.piece[..left.min(PIECE)];
            self.file.read_exact(piece)?;
            self.hasher.update(&*piece);
            take(piece)?;
            left -= piece.len();
        }
        Ok(())
    }

    fn hash(self) -> String {
        HEXLOWER.encode(&self.hasher.finalize())
    }
}

fn read_f32(reader: &mut HashingReader, dtype: Dtype, bytes: usize) -> io::Result<Vec<f32>> {
    let mut values = Vec::with_capacity(bytes / dtype_bytes(dtype)?);
    reader.pieces(bytes, |piece| append_f32(&mut values, dtype, piece))?;
    Ok(values)
}

fn read_f16(reader: &mut HashingReader, dtype: Dtype, bytes: usize) -> io::Result<Vec<f16>> {
    let mut values = Vec::with_capacity(bytes / dtype_bytes(dtype)?);
    let mut wide = Vec::new();
    reader.pieces(bytes, |piece| {
        wide.clear();
        append_f32(&mut wide, dtype, piece)?;
        let from = values.len();
        values.resize(from + wide.len(), f16::ZERO);
        values[from..].convert_from_f32_slice(&wide);
        Ok(())
    })?;
    Ok(values)
}

fn append_f32(values: &mut Vec<f32>, dtype: Dtype, piece: &[u8]) -> io::Result<()> {
    match dtype {
        Dtype::F32 => values.extend(piece.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        Dtype::F16 => values.extend(piece.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
        Dtype::BF16 => values.extend(piece.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32())),
        _ => return Err(wrong_dtype(dtype)),
    }
    Ok(())
}

fn dtype_bytes(dtype: Dtype) -> io::Result<usize> {
    match dtype {
        Dtype::F32 => Ok(4),
        Dtype::F16 | Dtype::BF16 => Ok(2),
        _ => Err(wrong_dtype(dtype)),
    }
}

fn wrong_dtype(dtype: Dtype) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("tensors of {dtype:?}; supported are F32, F16 and BF16"),
    )
}
