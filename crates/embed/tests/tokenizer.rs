//! The tokenizer against ids made with the reference implementation.

#![expect(clippy::expect_used, reason = "in a test, that is the message")]

mod reference;

use std::hint::black_box;
use std::time::Duration;

use memcloud_embed::tokenizer::{Tokenizer, TokenizerFiles};
use reference::{json, model_dir};
use rustix::time::{ClockId, clock_gettime};

const MIB: usize = 1 << 20;

/// A hostile text may take this many times what prose of the same length takes.
const MOST: f64 = 5.0;

/// Prose that takes less counts as this: one pass over all characters of a megabyte takes milliseconds.
const ONE_PASS: Duration = Duration::from_millis(5);

fn from_vocab_txt() -> Tokenizer {
    let vocab_txt = Some(model_dir().join("vocab.txt"));
    Tokenizer::load(&TokenizerFiles { vocab_txt, ..TokenizerFiles::default() }).expect("vocab.txt")
}

fn from_both() -> Tokenizer {
    let dir = model_dir();
    Tokenizer::load(&TokenizerFiles {
        vocab_txt: Some(dir.join("vocab.txt")),
        tokenizer_json: Some(dir.join("tokenizer.json")),
        ..TokenizerFiles::default()
    })
    .expect("both files, which agree")
}

#[test]
fn hostile_texts_become_the_same_tokens() {
    let cases: Vec<(String, Vec<u32>)> = json("tokens.json");
    assert!(cases.len() > 350);
    for tokenizer in [from_vocab_txt(), from_both()] {
        for (text, ids) in &cases {
            assert_eq!(&tokenizer.encode(text, 256), ids, "{text:?}");
        }
    }
}

/// Each code point, alone and between letters; one hash (FNV-1a over ids, a separator after each text) for
/// 4,096 of them.
#[test]
fn every_code_point_becomes_the_same_tokens() {
    const BLOCK: u32 = 4096;
    let tokenizer = from_vocab_txt();
    let blocks: Vec<String> = json("code_points.json");
    let mut different = Vec::new();
    for (first, wanted) in (0..0x11_0000).step_by(BLOCK as usize).zip(&blocks) {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for c in (first..first + BLOCK).filter_map(char::from_u32) {
            for text in [format!("a{c}b"), c.to_string()] {
                for id in tokenizer.encode(&text, 256).into_iter().chain([u32::MAX]) {
                    hash = (hash ^ u64::from(id)).wrapping_mul(0x100_0000_01b3);
                }
            }
        }
        if format!("{hash:016x}") != *wanted {
            different.push(format!("U+{first:04X}.."));
        }
    }
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn limits_cut_the_end_and_keep_the_frame() {
    let tokenizer = from_vocab_txt();
    let text = "one two three four five six";
    let whole = tokenizer.encode(text, 256);
    assert_eq!(whole.len(), 8);
    assert_eq!(tokenizer.encode(text, usize::MAX).len(), 8);
    for limit in 2..12 {
        let cut = tokenizer.encode(text, limit);
        assert_eq!(cut.len(), limit.min(8));
        assert_eq!(cut[..cut.len() - 1], whole[..cut.len() - 1]);
        assert_eq!(cut.last(), whole.last());
    }
    // A word of many pieces at the limit, and a text of which most must never be read.
    assert_eq!(tokenizer.encode("pneumonoultramicroscopicsilicovolcanoconiosis", 5).len(), 5);
    assert_eq!(tokenizer.encode(&"word ".repeat(2_000_000), 256).len(), 256);
    assert_eq!(tokenizer.encode(&"word ".repeat(1000), usize::MAX).len(), 1002);
}

/// The processor's time that the first 256 tokens of a text take, of some attempts the least. Other programs do not count.
fn least(tokenizer: &Tokenizer, text: &str, attempts: usize) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
    let timed = (0..attempts).map(|_| {
        let began = now();
        black_box(tokenizer.encode(text, 256));
        now().saturating_sub(began)
    });
    timed.min().expect("an attempt")
}

#[test]
fn a_megabyte_of_any_text_takes_little_more_than_prose_takes() {
    let tokenizer = from_vocab_txt();
    let prose = "Yesterday we walked up to the old lighthouse, and nothing compares with such evenings. ";
    let megabyte_of = |pattern: &str| pattern.repeat(MIB / pattern.len() + 1);
    let text = megabyte_of(prose);
    let mut usual = least(&tokenizer, &text, 3);
    for pattern in [
        "y",
        "x ",
        "ß",
        "İ",
        "é",
        "e\u{301}",
        "\u{301}",
        "a\u{301}\u{316}\u{301}\u{316}",
        "\u{fdfa}",
        "Ω",
        "я",
        "ش",
        "क्षि",
        "東",
        "ア",
        "각",
        "ก",
        "ำ",
        "👍🏽",
        "\u{200d}",
        "\u{202e}",
        "\u{1}",
        "0",
        "-",
        "[",
        "[CLS]",
        "[SEP",
        "<",
        "\n",
        " ",
        "##a",
        "pneumonoultramicroscopic ",
        "qzxjv ",
    ] {
        let hostile = megabyte_of(pattern);
        let ratio =
            |least: Duration, usual: Duration| least.as_secs_f64() / usual.max(ONE_PASS).as_secs_f64();
        let mut taken = least(&tokenizer, &hostile, 1);
        for _ in 0..8 {
            if ratio(taken, usual) <= MOST {
                break;
            }
            usual = usual.min(least(&tokenizer, &text, 1));
            taken = taken.min(least(&tokenizer, &hostile, 1));
        }
        let ratio = ratio(taken, usual);
        println!("{pattern:?}: {ratio:.2}");
        assert!(ratio <= MOST, "{pattern:?} takes {ratio:.1} times what prose takes");
    }
}

#[test]
fn files_that_disagree_are_refused() {
    let dir = tempfile::tempdir().expect("directory");
    let vocab = std::fs::read_to_string(model_dir().join("vocab.txt")).expect("vocab.txt");
    let changed = dir.path().join("vocab.txt");
    std::fs::write(&changed, vocab.replacen("\nthe\n", "\nteh\n", 1)).expect("written");
    let files = TokenizerFiles {
        vocab_txt: Some(changed),
        tokenizer_json: Some(model_dir().join("tokenizer.json")),
        ..TokenizerFiles::default()
    };
    let error = Tokenizer::load(&files).expect_err("they disagree").to_string();
    assert!(error.contains("differs"), "{error}");
}

#[test]
fn other_tokenizers_are_refused() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("tokenizer.json");
    for (content, wanted) in [
        ("{", "EOF"),
        (r#"{"model":{"type":"BPE","vocab":{}}}"#, "BPE"),
        (r#"{"model":{"type":"WordPiece","vocab":{}},"pre_tokenizer":{"type":"Whitespace"}}"#, "Whitespace"),
        (
            r#"{"model":{"vocab":{}},"pre_tokenizer":{"type":"BertPreTokenizer"},"normalizer":{"type":"BertNormalizer"}}"#,
            "[CLS]",
        ),
    ] {
        std::fs::write(&path, content).expect("written");
        let files = TokenizerFiles { tokenizer_json: Some(path.clone()), ..TokenizerFiles::default() };
        let error = Tokenizer::load(&files).expect_err(content).to_string();
        assert!(error.contains(wanted) && error.contains("tokenizer.json"), "{error}");
    }
    assert!(Tokenizer::load(&TokenizerFiles::default()).is_err());
}
