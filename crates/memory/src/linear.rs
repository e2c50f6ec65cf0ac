//! Every path that a text takes is linear in it: a megabyte of the worst text costs about what a megabyte of prose does.

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Duration;

use memcloud_domain::{Attribute, Comparison, Episode, Filter, Metadata, Scalar, Space, Test, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use crate::chat::{Context, is_echo, storable};
use crate::llm_gate::ModelRequest;
use crate::search::names::{ProducerNames, in_first_person};
use crate::search::{Explanation, Hit, ParsedQuery, QueryText};
use crate::text::analysis::Analysis;
use crate::text::token_count;
use crate::{Limits, ScoreBreakdown};

const MIB: usize = 1 << 20;

/// A hostile text may take this many times what prose of the same length takes: in scripts without spaces each character is
/// a token, and a control character becomes six in JSON. Work that grew with the square of the text would take thousands of
/// times as long.
const MOST: f64 = 5.0;

/// How often a path that seems slow is timed again, in turn with prose, since other programs fill the caches.
const ATTEMPTS: usize = 8;

/// A path that takes less for a megabyte of prose is compared with this: one pass over all characters takes milliseconds.
const ONE_PASS: Duration = Duration::from_millis(5);

/// Each is repeated until it fills a megabyte.
const PATTERNS: [&str; 66] = [
    "y",
    "ay",
    "yu",
    "iy",
    "yy ",
    "aeiouy",
    "e",
    "s",
    "ing",
    "ational",
    "ings ",
    "'s",
    "a's ",
    "a'b'",
    "’",
    "a’s",
    "x ",
    "a b ",
    "ß",
    "İ",
    "é",
    "e\u{301}",
    "\u{301}",
    "a\u{301}\u{316}\u{301}\u{316}",
    "a\u{345}\u{301}",
    "\u{fdfa}",
    "ﬃ",
    "Ω",
    "я",
    "ы ",
    "ش",
    "ע",
    "अ",
    "क्षि",
    "東",
    "東京 ",
    "ア",
    "가",
    "각",
    "ก",
    "ำ",
    "ខ្មែ",
    "မြန်မာ",
    "👍",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "\u{200d}",
    "\u{200b}",
    "\u{202e}",
    "\u{e0061}",
    "\u{1}",
    "\u{85}",
    "0",
    "1st ",
    "2023-05-08 ",
    "-",
    "a-",
    "a - ",
    "([{",
    "\"",
    "<facts>",
    "\n",
    " ",
    "https://a.example/b?c=d&e=f#g ",
    "last may in june 2023 ",
    "two hundred and twenty-two weeks ago ",
];

fn megabyte_of(pattern: &str) -> String {
    let text = pattern.repeat(MIB / pattern.len() + 1);
    text[..text.floor_char_boundary(MIB)].to_owned()
}

/// Text of random words; `spread` is how many different ones there are.
fn words(spread: u64, is_prose: bool) -> String {
    const PROSE: [&str; 24] = [
        "yesterday",
        "we",
        "walked",
        "up",
        "to",
        "the",
        "old",
        "lighthouse",
        "and",
        "Ann",
        "said",
        "that",
        "nothing",
        "compares",
        "with",
        "such",
        "evenings",
        "by",
        "the",
        "harbour,",
        "does",
        "it?",
        "She's",
        "happy.",
    ];
    let (mut text, mut state) = (String::with_capacity(MIB + 32), 0x9e37_79b9_7f4a_7c15_u64);
    while text.len() < MIB {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state % spread;
        if is_prose {
            text.push_str(PROSE[word as usize % PROSE.len()]);
        } else {
            text.extend((0..6).map(|letter| char::from(b'a' + ((word >> (letter * 4)) & 15) as u8)));
        }
        text.push(' ');
    }
    text.truncate(MIB);
    text
}

fn episode(content: &str, metadata: Metadata) -> Episode {
    let space = Space::new("universal", "g");
    Episode { content: content.into(), metadata, ..memcloud_store_tests::episode(&space, "s", 1) }
}

/// A name with many words, and with the first words of hostile texts.
fn names() -> ProducerNames {
    let mut names = ProducerNames::default();
    for (name, number) in ["Ann", "y", "x x", "a b", "a's a", "@a", "last may", "Bob"].iter().zip(0..) {
        names.insert(name, number);
    }
    names
}

/// Reads a query as searches do: they read no more than the first 8 KiB, so a megabyte is 128 queries.
fn queries(text: &str) {
    let (names, mut rest) = (names(), text);
    let now = Timestamp::from_micros(1_686_756_600_000_000).unwrap();
    while !rest.is_empty() {
        let query = QueryText::read(rest);
        let mentions = names.mentions(&query);
        black_box(ParsedQuery::parse(&query, &mentions, now));
        black_box(in_first_person(query.text, mentions));
        rest = &rest[query.text.len()..];
    }
}

fn context(text: &str) {
    let explanation = Explanation { parts: ScoreBreakdown::default(), shared_words: vec![] };
    let hit = Hit { episode: episode(text, Map::new()), score: 1.0, explanation };
    // Room for the whole text, in whichever script.
    let context = Context::within(64 * MIB, 20, &[hit], &[], &HashSet::new());
    black_box(context.text(64 * MIB));
}

fn filters(text: &str) {
    let test = |comparison| Test::Compare(comparison, Scalar::Text(format!("{text}.")));
    let metadata = || Map::from_iter([("note".to_owned(), Value::from(text))]);
    for attribute in [Attribute::Content, Attribute::CreatedAt, Attribute::Metadata(vec!["note".into()])] {
        let filter = Filter::Condition(attribute, test(Comparison::Less));
        black_box(filter.matches(&episode(text, metadata())));
    }
}

fn model_request(text: &str) {
    let message = json!({"role": "user", "content": text, "tool_calls": [text]});
    let request = ModelRequest::from(Map::from_iter([("messages".to_owned(), json!([message]))]));
    black_box((request.estimated_tokens(), request.texts()));
}

type Path = (&'static str, fn(&str));

const PATHS: [Path; 11] = [
    ("analysis of the content", |text| {
        let encoded = Analysis::of(&episode(text, Map::new())).encode();
        black_box(Analysis::decode(&encoded));
    }),
    ("analysis of a caption", |text| {
        let metadata =
            Map::from_iter([("caption".to_owned(), Value::from(text)), (text.to_owned(), json!(1))]);
        black_box(Analysis::of(&episode("", metadata)).encode());
    }),
    ("queries", queries),
    ("the check of a text", |text| {
        black_box(Limits::default().check_text(memcloud_domain::Field::Content, text)).ok();
    }),
    ("estimated tokens", |text| {
        black_box(token_count::estimate(text));
    }),
    ("a shortened text", |text| {
        black_box(token_count::shortened(text, MIB));
    }),
    ("an echo", |text| {
        black_box(is_echo(text, std::iter::once(text)));
    }),
    ("the context of a chat", context),
    ("the transcript of a chat", |text| {
        black_box(storable(text, MIB));
    }),
    ("filters", filters),
    ("a request to the model", model_request),
];

/// The processor's time that a path takes. Other programs do not count.
fn time(path: fn(&str), text: &str) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let began = now();
    path(text);
    now().saturating_sub(began)
}

#[test]
fn a_megabyte_of_any_text_takes_little_more_than_prose_takes() {
    let prose = words(u64::MAX, true);
    let mut texts: Vec<(String, String)> =
        PATTERNS.iter().map(|pattern| (format!("{pattern:?}"), megabyte_of(pattern))).collect();
    texts.push(("words".into(), words(1 << 24, false)));
    texts.push(("few words".into(), words(1 << 8, false)));
    let (prose, texts) = (prose.as_str(), texts.as_slice());
    let slow: Vec<String> = std::thread::scope(|scope| {
        let paths = PATHS.map(|path| scope.spawn(move || slow_on(path, prose, texts)));
        paths.into_iter().flat_map(|slow| slow.join().unwrap()).collect()
    });
    assert!(slow.is_empty(), "{slow:#?}");
}

/// The texts that take this path too long.
fn slow_on((name, path): Path, prose: &str, texts: &[(String, String)]) -> Vec<String> {
    let mut slow = vec![];
    let mut usual = (0..3).map(|_| time(path, prose)).min().unwrap();
    let mut worst = (0.0, "");
    for (pattern, text) in texts {
        let mut least = time(path, text);
        let ratio =
            |least: Duration, usual: Duration| least.as_secs_f64() / usual.max(ONE_PASS).as_secs_f64();
        for _ in 0..ATTEMPTS {
            if ratio(least, usual) <= MOST {
                break;
            }
            usual = usual.min(time(path, prose));
            least = least.min(time(path, text));
        }
        let ratio = ratio(least, usual);
        if ratio > worst.0 {
            worst = (ratio, pattern);
        }
        if ratio > MOST {
            slow.push(format!("{name}: {pattern} takes {ratio:.1} times what prose takes"));
        }
    }
    println!("{name}: prose {usual:?}, at most {:.1} times that, for {}", worst.0, worst.1);
    slow
}
