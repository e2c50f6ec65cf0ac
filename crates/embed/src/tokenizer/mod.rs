//! BERT's `WordPiece` tokenizer, equal token for token to the reference implementation.
//!
//! Text is cleaned, each CJK character becomes a word, accents are stripped and letters lower-cased, white
//! space and punctuation separate words, and each word is cut into the longest pieces of the vocabulary. It is our own
//! because the reference library costs minutes to build and 20 ms to load, and because its file for the
//! default model pads and cuts at 128 tokens.

mod vocabulary;

use unicode_categories::UnicodeCategories;
use unicode_normalization::UnicodeNormalization;

pub use vocabulary::TokenizerFiles;
use vocabulary::Vocabulary;

/// A word of more characters than this is unknown as a whole.
const LONGEST_WORD: usize = 100;

/// How many bytes of a text are read for each token that is wanted: many times as many as tokens have in any language, and
/// few enough that a huge word, which is one token, costs no more than a long text.
const BYTES_PER_TOKEN: usize = 128;

/// How text is normalized before it is cut into words.
#[expect(clippy::struct_excessive_bools, reason = "the four independent switches of the file format")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Normalizer {
    /// Whether control characters are dropped and white space becomes blanks.
    pub clean: bool,
    /// Whether each CJK ideograph is a word.
    pub split_cjk: bool,
    /// Whether combining accents are dropped.
    pub strip_accents: bool,
    /// Whether letters are lower-cased.
    pub lowercase: bool,
}

impl Default for Normalizer {
    /// The normalization of uncased BERT models.
    fn default() -> Self {
        Self { clean: true, split_cjk: true, strip_accents: true, lowercase: true }
    }
}

/// Turns text into token ids.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    normalizer: Normalizer,
}

impl Tokenizer {
    /// Token ids of `text` between `[CLS]` and `[SEP]`, cut to `limit` including these two.
    ///
    /// Stops reading at the limit, or after 128 bytes for each token of the limit, so that a huge text costs no more than a
    /// long one.
    pub fn encode(&self, text: &str, limit: usize) -> Vec<u32> {
        let text = &text[..text.floor_char_boundary(limit.saturating_mul(BYTES_PER_TOKEN))];
        let mut ids = Vec::with_capacity((text.len() / 3 + 4).min(limit.max(2)));
        ids.push(self.vocabulary.cls);
        let mut cutter = Cutter::new(&self.vocabulary, ids, limit.saturating_sub(1));
        self.cut(text, &mut cutter);
        let mut ids = cutter.ids;
        ids.truncate(limit.saturating_sub(1).max(1));
        ids.push(self.vocabulary.sep);
        ids
    }

    /// Number of tokens in the vocabulary.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary.size
    }

    /// Special tokens spelled out in the text become those tokens, as in the reference.
    fn cut(&self, text: &str, cutter: &mut Cutter<'_>) {
        let mut rest = text;
        let mut searched = 0;
        while let Some(bracket) = rest[searched..].find('[') {
            let at = searched + bracket;
            match self.vocabulary.special_at_start(&rest[at..]) {
                Some((len, id)) => {
                    self.cut_plain(&rest[..at], cutter);
                    cutter.ids.push(id);
                    if cutter.is_full() {
                        return;
                    }
                    rest = &rest[at + len..];
                    searched = 0;
                }
                None => searched = at + 1,
            }
        }
        self.cut_plain(rest, cutter);
    }

    fn cut_plain(&self, text: &str, cutter: &mut Cutter<'_>) {
        let normalizer = self.normalizer;
        if text.is_ascii() {
            for byte in text.bytes() {
                let c = char::from(byte);
                if normalizer.clean && is_removed(c) {
                    continue;
                }
                cutter.push(if normalizer.lowercase { c.to_ascii_lowercase() } else { c });
                if cutter.is_full() {
                    return;
                }
            }
        } else {
            let cleaned = text.chars().filter(|&c| !(normalizer.clean && is_removed(c)));
            let split = cleaned.flat_map(|c| {
                let blank = (normalizer.split_cjk && is_cjk(c)).then_some(' ');
                [blank, Some(c), blank].into_iter().flatten()
            });
            if normalizer.strip_accents {
                let stripped = split.nfd().filter(|c| !c.is_mark_nonspacing());
                cut_chars(stripped, normalizer.lowercase, cutter);
            } else {
                cut_chars(split, normalizer.lowercase, cutter);
            }
        }
        cutter.end_word();
    }
}

fn cut_chars(chars: impl Iterator<Item = char>, lowercase: bool, cutter: &mut Cutter<'_>) {
    for c in chars {
        if lowercase {
            c.to_lowercase().for_each(|c| cutter.push(c));
        } else {
            cutter.push(c);
        }
        if cutter.is_full() {
            return;
        }
    }
}

/// Collects characters into words and cuts the words into pieces.
struct Cutter<'a> {
    vocabulary: &'a Vocabulary,
    word: String,
    characters: usize,
    ids: Vec<u32>,
    limit: usize,
}

impl<'a> Cutter<'a> {
    fn new(vocabulary: &'a Vocabulary, ids: Vec<u32>, limit: usize) -> Self {
        Self { vocabulary, word: String::new(), characters: 0, ids, limit }
    }

    /// Whether the limit is reached, so that the rest of the text does not matter.
    fn is_full(&self) -> bool {
        self.ids.len() >= self.limit
    }

    fn push(&mut self, c: char) {
        if is_white_space(c) {
            self.end_word();
        } else if is_punctuation(c) {
            self.end_word();
            self.extend_word(c);
            self.end_word();
        } else {
            self.extend_word(c);
        }
    }

    fn extend_word(&mut self, c: char) {
        self.characters += 1;
        // A word that is too long becomes unknown, so its characters need not be kept.
        if self.characters <= LONGEST_WORD {
            self.word.push(c);
        }
    }

    fn end_word(&mut self) {
        if self.characters > LONGEST_WORD {
            self.ids.push(self.vocabulary.unknown);
        } else if self.characters > 0 {
            self.vocabulary.cut_word(&self.word, &mut self.ids);
        }
        self.word.clear();
        self.characters = 0;
    }
}

/// White space that separates words. Tab and line ends count, although Unicode calls them control characters.
fn is_white_space(c: char) -> bool {
    c.is_whitespace()
}

/// Characters that are dropped: NUL, the replacement character, control, format, private and unassigned ones.
fn is_removed(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\0' | '\u{fffd}' => true,
        c => c.is_other(),
    }
}

/// BERT treats every ASCII sign as punctuation, including those that Unicode calls symbols.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_punctuation() } else { c.is_punctuation() }
}

/// CJK ideographs, with the ranges of the reference (its extension E begins at U+2B920).
fn is_cjk(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4e00..=0x9fff
            | 0x3400..=0x4dbf
            | 0x2_0000..=0x2_a6df
            | 0x2_a700..=0x2_b73f
            | 0x2_b740..=0x2_b81f
            | 0x2_b920..=0x2_ceaf
            | 0xf900..=0xfaff
            | 0x2_f800..=0x2_fa1f
    )
}
