//! Finds the files of a model, and fetches those of the default one.

mod fetch;

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::tokenizer::TokenizerFiles;

pub use fetch::{Attempt, FetchError, Progress, Source, Sources, find_or_fetch};

/// Name of the default model and of its folder.
pub const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";
/// SHA-256 of the default model's weights.
pub const DEFAULT_WEIGHTS_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// A file of the default model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PinnedFile {
    /// Name in the folder.
    pub name: &'static str,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: &'static str,
}

/// The files of the default model that are needed; the wheel on the package index has the same bytes as
/// the model hub.
pub(crate) const DEFAULT_FILES: [PinnedFile; 4] = [
    CONFIG,
    PinnedFile {
        name: "vocab.txt",
        size: 231_508,
        sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
    PinnedFile {
        name: "tokenizer.json",
        size: 466_247,
        sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
    WEIGHTS,
];

const CONFIG: PinnedFile = PinnedFile {
    name: "config.json",
    size: 612,
    sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
};

const WEIGHTS: PinnedFile =
    PinnedFile { name: WEIGHTS_FILE, size: 90_868_376, sha256: DEFAULT_WEIGHTS_SHA256 };

const WEIGHTS_FILE: &str = "model.safetensors";

/// The places to search for models.
#[derive(Clone, Debug, Default)]
pub struct ModelPlaces {
    /// A folder given by the user (`MEMCLOUD_MODEL_DIR`): any BERT-type model.
    pub model_dir: Option<PathBuf>,
    /// The folder of the program: `model/` or `all-MiniLM-L6-v2/` in it.
    pub binary_dir: Option<PathBuf>,
    /// The data directory: `models/all-MiniLM-L6-v2/` in it. Fetched files go there.
    pub data_dir: PathBuf,
}

impl ModelPlaces {
    /// Where fetched files go.
    pub fn fetched_dir(&self) -> PathBuf {
        self.data_dir.join("models").join(DEFAULT_MODEL)
    }
}

/// The files of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// The folder.
    pub dir: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
    /// `model.safetensors`.
    pub weights: PathBuf,
    /// The tokenizer's files.
    pub tokenizer: TokenizerFiles,
    /// Whether these must be the exact files of the default model, because of where they are or what they say they are.
    pub pinned: bool,
}

impl ModelFiles {
    /// The files in a folder with any BERT-type model.
    ///
    /// # Errors
    ///
    /// If a file is missing: the error names all missing files.
    pub fn in_dir(dir: &Path) -> Result<Self, Error> {
        let optional = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
        let tokenizer = TokenizerFiles {
            vocab_txt: optional("vocab.txt"),
            tokenizer_json: optional("tokenizer.json"),
            tokenizer_config: optional("tokenizer_config.json"),
            known_to_agree: false,
        };
        let mut missing: Vec<_> =
            ["config.json", WEIGHTS_FILE].into_iter().filter(|name| !dir.join(name).is_file()).collect();
        if tokenizer.vocab_txt.is_none() && tokenizer.tokenizer_json.is_none() {
            missing.push("vocab.txt or tokenizer.json");
        }
        if !missing.is_empty() {
            return Err(Error::unsupported(dir, format!("the folder has no {}", missing.join(", no "))));
        }
        let (config, weights) = (dir.join("config.json"), dir.join(WEIGHTS_FILE));
        let files = Self { dir: dir.to_owned(), config, weights, tokenizer, pinned: false };
        Ok(if is_default(&files.config, &files.weights) { files.pinned() } else { files })
    }

    /// The same, which must be the default model.
    fn pinned(mut self) -> Self {
        // They are compared with their hashes when the model is loaded.
        self.tokenizer.known_to_agree = true;
        // Nothing is known of this one, and the default model does without.
        self.tokenizer.tokenizer_config = None;
        self.pinned = true;
        self
    }

    /// The files in a folder that must hold the default model.
    fn pinned_in(dir: &Path) -> Option<Self> {
        Self::in_dir(dir).ok().map(Self::pinned)
    }

    /// Checks the files of the default model: all sizes, and the hashes of the small files. The weights are
    /// hashed while they are read; see [`ModelFiles::check_hash`].
    pub(crate) fn check_files(&self) -> Result<(), Error> {
        if self.pinned { self.check_small() } else { Ok(()) }
    }

    fn check_small(&self) -> Result<(), Error> {
        for file in DEFAULT_FILES {
            let path = self.dir.join(file.name);
            let Ok(metadata) = path.metadata() else { continue };
            if metadata.len() != file.size {
                let what = format!("it should have {} bytes and has {}", file.size, metadata.len());
                return Err(Error::damaged(&path, what));
            }
            if file.name != WEIGHTS_FILE {
                let bytes = std::fs::read(&path).map_err(|source| Error::read(&path, source))?;
                file.check(&hash(&bytes), &path)?;
            }
        }
        Ok(())
    }

    /// Checks the weights by their hash: those of the default model where they must be, and where they are, all files
    /// beside them.
    pub(crate) fn check_hash(&self, found: &str) -> Result<(), Error> {
        match self.pinned {
            true => WEIGHTS.check(found, &self.weights),
            false if found == WEIGHTS.sha256 => self.check_small(),
            false => Ok(()),
        }
    }

    /// A hash of everything that decides what vectors the model computes: its weights, of which this is the hash, and the
    /// files beside them.
    pub(crate) fn hash_with(&self, weights: &str) -> Result<String, Error> {
        let mut all = Sha256::new_with_prefix(weights);
        let tokenizer =
            [&self.tokenizer.vocab_txt, &self.tokenizer.tokenizer_json, &self.tokenizer.tokenizer_config];
        let settings = [self.config.clone(), self.sentence_settings(), self.pooling_settings()];
        for path in settings.iter().chain(tokenizer.into_iter().flatten()).filter(|path| path.is_file()) {
            let bytes = std::fs::read(path).map_err(|source| Error::read(path, source))?;
            all.update(hash(&bytes));
        }
        Ok(HEXLOWER.encode(&all.finalize()))
    }

    /// Where a model may say how long its texts are.
    pub(crate) fn sentence_settings(&self) -> PathBuf {
        self.dir.join("sentence_bert_config.json")
    }

    /// Where a model may say how the vectors of tokens become one.
    pub(crate) fn pooling_settings(&self) -> PathBuf {
        self.dir.join("1_Pooling").join("config.json")
    }
}

/// Whether a model says that it is the default one: its configuration is the same, byte for byte, and its weights have the
/// same length. Then they must be the same weights; other trainings write other configurations.
fn is_default(config: &Path, weights: &Path) -> bool {
    let has_length = weights.metadata().is_ok_and(|found| found.len() == WEIGHTS.size);
    has_length && std::fs::read(config).is_ok_and(|bytes| CONFIG.check(&hash(&bytes), config).is_ok())
}

fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

impl PinnedFile {
    fn check(&self, found: &str, path: &Path) -> Result<(), Error> {
        if found == self.sha256 {
            return Ok(());
        }
        Err(Error::damaged(path, format!("its SHA-256 should be {} and is {found}", self.sha256)))
    }
}

/// Searches for a model in `places`: the given folder, the program's folder, the data directory.
///
/// # Errors
///
/// If a folder was given and has no encoder; the other places are not searched then.
pub fn find(places: &ModelPlaces) -> Result<Option<ModelFiles>, Error> {
    if let Some(dir) = &places.model_dir {
        return ModelFiles::in_dir(dir).map(Some);
    }
    let shipped = places.binary_dir.iter().flat_map(|dir| [dir.join("model"), dir.join(DEFAULT_MODEL)]);
    Ok(shipped.chain([places.fetched_dir()]).find_map(|dir| ModelFiles::pinned_in(&dir)))
}
