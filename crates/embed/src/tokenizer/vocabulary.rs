//! The vocabulary, and how it is read from the files of a model.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{LONGEST_WORD, Normalizer, Tokenizer};
use crate::Error;

/// The files of a model's tokenizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `vocab.txt`: one token a line. Much faster to read than the other.
    pub vocab_txt: Option<PathBuf>,
    /// `tokenizer.json`: vocabulary and settings.
    pub tokenizer_json: Option<PathBuf>,
    /// `tokenizer_config.json`: settings that go with `vocab.txt`.
    pub tokenizer_config: Option<PathBuf>,
    /// Whether the files are known to agree, so that `tokenizer.json` need not be read in addition to `vocab.txt`.
    pub known_to_agree: bool,
}

/// Tokens and their ids.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Pieces that begin a word.
    beginnings: HashMap<Box<str>, u32>,
    /// Pieces within a word, without their `##`.
    continuations: HashMap<Box<str>, u32>,
    /// Bytes of the longest piece.
    longest: usize,
    pub(super) size: usize,
    pub(super) cls: u32,
    pub(super) sep: u32,
    pub(super) unknown: u32,
    special: Vec<(Box<str>, u32)>,
}

/// Tokens that a text can spell out.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

impl Vocabulary {
    fn new<'a>(tokens: impl ExactSizeIterator<Item = (&'a str, u32)>, path: &Path) -> Result<Self, Error> {
        let mut beginnings = HashMap::with_capacity(tokens.len());
        let mut continuations = HashMap::with_capacity(tokens.len() / 4);
        let (mut longest, mut size) = (0, 0);
        for (token, id) in tokens {
            match token.strip_prefix("##") {
                Some(piece) if !piece.is_empty() => {
                    longest = longest.max(piece.len());
                    continuations.insert(piece.into(), id);
                }
                _ => {
                    longest = longest.max(token.len());
                    beginnings.insert(token.into(), id);
                }
            }
            size = size.max(id as usize + 1);
        }
        let find = |token: &str| {
            let missing = || Error::unsupported(path, format!("the vocabulary has no {token}"));
            beginnings.get(token).copied().ok_or_else(missing)
        };
        let (cls, sep, unknown) = (find("[CLS]")?, find("[SEP]")?, find("[UNK]")?);
        let special = SPECIAL.iter().filter_map(|&t| beginnings.get(t).map(|&id| (t.into(), id))).collect();
        Ok(Self { beginnings, continuations, longest, size, cls, sep, unknown, special })
    }

    /// The special token that `text` begins with: its length in bytes and id.
    pub(super) fn special_at_start(&self, text: &str) -> Option<(usize, u32)> {
        self.special
            .iter()
            .find(|(token, _)| text.starts_with(&**token))
            .map(|(token, id)| (token.len(), *id))
    }

    /// Appends the pieces of `word`, the longest match first. If no piece matches at some position, the whole
    /// word is unknown.
    pub(super) fn cut_word(&self, word: &str, ids: &mut Vec<u32>) {
        let before = ids.len();
        let mut rest = word;
        let mut pieces = &self.beginnings;
        while !rest.is_empty() {
            let Some((len, id)) = self.longest_piece(pieces, rest) else {
                ids.truncate(before);
                ids.push(self.unknown);
                return;
            };
            ids.push(id);
            rest = &rest[len..];
            pieces = &self.continuations;
        }
    }

    fn longest_piece(&self, pieces: &HashMap<Box<str>, u32>, text: &str) -> Option<(usize, u32)> {
        let mut end = text.floor_char_boundary(self.longest);
        while end > 0 {
            if let Some(&id) = pieces.get(&text[..end]) {
                return Some((end, id));
            }
            end = text.floor_char_boundary(end - 1);
        }
        None
    }
}

/// The parts of `tokenizer.json` that matter.
#[derive(Deserialize)]
struct TokenizerJson<'a> {
    #[serde(borrow)]
    model: ModelJson<'a>,
    normalizer: Option<NormalizerJson>,
    pre_tokenizer: Option<TypeJson>,
}

#[derive(Deserialize)]
struct ModelJson<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    vocab: HashMap<Cow<'a, str>, u32>,
    continuing_subword_prefix: Option<String>,
    max_input_chars_per_word: Option<usize>,
}

#[derive(Deserialize)]
struct NormalizerJson {
    #[serde(rename = "type")]
    kind: String,
    clean_text: Option<bool>,
    handle_chinese_chars: Option<bool>,
    strip_accents: Option<bool>,
    lowercase: Option<bool>,
}

#[derive(Deserialize)]
struct TypeJson {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct TokenizerConfigJson {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
}

impl Normalizer {
    /// Stripping accents follows lower-casing unless it is set separately.
    fn from_settings(
        clean: Option<bool>,
        split_cjk: Option<bool>,
        strip_accents: Option<bool>,
        lowercase: Option<bool>,
    ) -> Self {
        let lowercase = lowercase.unwrap_or(true);
        Self {
            clean: clean.unwrap_or(true),
            split_cjk: split_cjk.unwrap_or(true),
            strip_accents: strip_accents.unwrap_or(lowercase),
            lowercase,
        }
    }
}

impl Tokenizer {
    /// Reads the tokenizer from `vocab.txt` or `tokenizer.json`. When both are there and not known to
    /// agree, both are read and compared.
    ///
    /// # Errors
    ///
    /// If neither exists, one cannot be read, they disagree, or it is not a `WordPiece` tokenizer of BERT.
    pub fn load(files: &TokenizerFiles) -> Result<Self, Error> {
        let lines = files.vocab_txt.as_deref().map(|path| read(path).map(|text| (path, text))).transpose()?;
        let read_json = lines.is_none() || !files.known_to_agree;
        let json = files.tokenizer_json.as_deref().filter(|_| read_json);
        let json = json.map(|path| read(path).map(|text| (path, text))).transpose()?;
        match (lines, json) {
            (Some((path, lines)), None) => {
                let normalizer =
                    files.tokenizer_config.as_deref().map_or(Ok(Normalizer::default()), read_config)?;
                Self::from_lines(&lines, normalizer, path)
            }
            (None, Some((path, json))) => Self::from_json(&json, path),
            (Some((lines_path, lines)), Some((path, json))) => {
                let tokenizer = Self::from_json(&json, path)?;
                let other = Self::from_lines(&lines, tokenizer.normalizer, lines_path)?;
                if tokenizer.vocabulary.beginnings != other.vocabulary.beginnings
                    || tokenizer.vocabulary.continuations != other.vocabulary.continuations
                {
                    let what = format!("its vocabulary differs from that of {}", lines_path.display());
                    return Err(Error::unsupported(path, format!("{what}; remove the wrong one")));
                }
                Ok(tokenizer)
            }
            (None, None) => {
                let path = Path::new("vocab.txt");
                Err(Error::unsupported(path, "neither vocab.txt nor tokenizer.json is in the model's folder"))
            }
        }
    }

    fn from_lines(lines: &str, normalizer: Normalizer, path: &Path) -> Result<Self, Error> {
        let tokens: Vec<_> = lines.lines().zip(0..).map(|(line, id)| (line.trim_end(), id)).collect();
        Ok(Self { vocabulary: Vocabulary::new(tokens.into_iter(), path)?, normalizer })
    }

    fn from_json(json: &str, path: &Path) -> Result<Self, Error> {
        let parsed: TokenizerJson<'_> =
            serde_json::from_str(json).map_err(|error| Error::unsupported(path, error.to_string()))?;
        let normalizer = parsed.supported_normalizer().map_err(|what| Error::unsupported(path, what))?;
        let tokens = parsed.model.vocab.iter().map(|(token, id)| (&**token, *id));
        Ok(Self { vocabulary: Vocabulary::new(tokens, path)?, normalizer })
    }
}

impl TokenizerJson<'_> {
    fn supported_normalizer(&self) -> Result<Normalizer, String> {
        let model = self.model.kind.as_deref().unwrap_or("WordPiece");
        if model != "WordPiece" || self.model.continuing_subword_prefix.as_deref().unwrap_or("##") != "##" {
            return Err(format!("its tokenizer is {model}; only WordPiece with ## is supported"));
        }
        if self.model.max_input_chars_per_word.unwrap_or(LONGEST_WORD) != LONGEST_WORD {
            return Err(format!("max_input_chars_per_word is not {LONGEST_WORD}"));
        }
        match self.pre_tokenizer.as_ref().map(|p| p.kind.as_str()) {
            Some("BertPreTokenizer") => {}
            other => return Err(format!("its pre_tokenizer is {other:?}, not BertPreTokenizer")),
        }
        match &self.normalizer {
            Some(n) if n.kind == "BertNormalizer" => Ok(Normalizer::from_settings(
                n.clean_text,
                n.handle_chinese_chars,
                n.strip_accents,
                n.lowercase,
            )),
            other => Err(format!(
                "its normalizer is {:?}, not BertNormalizer",
                other.as_ref().map(|n| n.kind.as_str())
            )),
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::read(path, source))
}

fn read_config(path: &Path) -> Result<Normalizer, Error> {
    let config: TokenizerConfigJson =
        serde_json::from_str(&read(path)?).map_err(|error| Error::unsupported(path, error.to_string()))?;
    Ok(Normalizer::from_settings(
        None,
        config.tokenize_chinese_chars,
        config.strip_accents,
        config.do_lower_case,
    ))
}
