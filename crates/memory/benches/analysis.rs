//! The analysis of a message: made when the message is stored, read back when its space is loaded.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use memcloud_domain::Episode;
use memcloud_memory::Analysis;
use memcloud_store_tests::{episode, space};

const SENTENCE: &str =
    "Yesterday we hiked up to the old lighthouse, and the view over the harbour was breathtaking! ";

/// A short message, a long one, and a whole document.
const SENTENCES: [usize; 3] = [1, 10, 1_000];

fn main() {
    divan::main();
}

fn message(sentences: usize) -> Episode {
    Episode { content: SENTENCE.repeat(sentences), ..episode(&space("bench"), "session", 1) }
}

#[divan::bench(args = SENTENCES)]
fn of_a_message(bencher: Bencher<'_, '_>, sentences: usize) {
    let message = message(sentences);
    bencher.counter(BytesCount::of_str(&message.content)).bench_local(|| Analysis::of(black_box(&message)));
}

#[divan::bench(args = SENTENCES)]
fn read_back(bencher: Bencher<'_, '_>, sentences: usize) {
    let encoded = Analysis::of(&message(sentences)).encode();
    bencher.bench_local(|| Analysis::decode(black_box(&encoded)));
}
