//! The tokenizer on a short question and on a long message.
//!
//! It needs the vocabulary of the model: `MEMCLOUD_TEST_MODEL_DIR`, or where `cargo xtask test` puts it.

#![expect(clippy::expect_used, reason = "a benchmark that cannot begin shall say why")]
#![expect(clippy::disallowed_methods, reason = "the environment names the model")]

use std::path::PathBuf;
use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use memcloud_embed::tokenizer::{Tokenizer, TokenizerFiles};

const QUESTION: &str = "Where did Caroline go on her birthday last May?";
const SENTENCE: &str =
    "Yesterday we hiked up to the old lighthouse, and the view over the harbour was breathtaking! ";

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let fetched = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/models/all-MiniLM-L6-v2");
    let dir =
        std::env::var_os("MEMCLOUD_TEST_MODEL_DIR").map_or_else(|| PathBuf::from(fetched), PathBuf::from);
    let files = TokenizerFiles { vocab_txt: Some(dir.join("vocab.txt")), ..TokenizerFiles::default() };
    Tokenizer::load(&files).expect("the vocabulary; 'memcloud model fetch --data-dir target' puts it there")
});

fn main() {
    divan::main();
}

#[divan::bench]
fn question(bencher: Bencher<'_, '_>) {
    let tokenizer = &*TOKENIZER;
    bencher.counter(BytesCount::of_str(QUESTION)).bench_local(|| tokenizer.encode(black_box(QUESTION), 256));
}

#[divan::bench(args = [1, 10, 1_000])]
fn sentences(bencher: Bencher<'_, '_>, times: usize) {
    let (tokenizer, text) = (&*TOKENIZER, SENTENCE.repeat(times));
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| tokenizer.encode(black_box(&text), usize::MAX));
}
