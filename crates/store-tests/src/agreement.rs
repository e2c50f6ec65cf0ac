//! Engines with the same history give the same answers.

use memcloud_domain::{Attribute, Filter, NewEpisode, Scalar, Space};
use memcloud_memory::{Memory, SearchQuery};
use serde_json::json;

use crate::Store;
use crate::memory::{memory, store};
use crate::samples::{minute, said, space};

const PEOPLE: [&str; 3] = ["Ann", "Bob", "Cleo"];
const THINGS: [&str; 12] = [
    "a red bicycle",
    "the piano",
    "a trip to Lisbon",
    "pottery",
    "her sister's wedding",
    "a stray dog",
    "the marathon",
    "old maps",
    "sourdough bread",
    "a job in Oslo",
    "the garden",
    "chess",
];
const DOINGS: [&str; 6] = ["talked about", "dreamed of", "gave up", "started with", "was proud of", "forgot"];
const TIMES: [&str; 5] = ["yesterday", "last week", "in June", "two years ago", "this morning"];

/// A conversation of some hundred turns in four sessions, with dates, questions, metadata and repeated words.
fn conversation() -> Vec<NewEpisode> {
    let turn = |n: usize| {
        let who = PEOPLE[n * 7 % 3];
        let (thing, doing) = (THINGS[n * 5 % 12], DOINGS[n * 11 % 6]);
        let content = match n % 4 {
            0 => format!("{} I {doing} {thing}.", TIMES[n % 5]),
            1 => format!("Do you remember {thing}?"),
            2 => format!("{} {doing} {thing}, and number {n} was the best.", PEOPLE[n * 3 % 3]),
            _ => format!("It was {thing} that {} {doing} {}.", PEOPLE[(n + 1) % 3], TIMES[n * 3 % 5]),
        };
        let metadata = json!({"topic": thing, "n": n % 5, "blip_caption": format!("a photo of {thing}")});
        NewEpisode {
            created_at: Some(minute((n * 37 % 4_000) as i64)),
            metadata: metadata.as_object().unwrap().clone(),
            produced_for: PEOPLE[(n + 1) % 3].into(),
            ..said(&format!("session-{}", n % 4), who, &content)
        }
    };
    (0..360).map(turn).collect()
}

const QUESTIONS: [&str; 8] = [
    "When did Ann talk about the piano?",
    "What did Bob give up last week?",
    "Who was proud of a red bicycle?",
    "What happened in June?",
    "Do you remember the stray dog?",
    "sourdough",
    "Why did Cleo forget the marathon two years ago?",
    "Which number was the best?",
];

fn filters() -> Vec<Filter> {
    let n = Attribute::Metadata(vec!["n".into()]);
    vec![
        Filter::default(),
        Filter::equal(Attribute::Producer, "Ann"),
        Filter::equal(Attribute::Session, "session-2"),
        Filter::equal(n.clone(), Scalar::Number(3_i64.into())),
        Filter::Not(Box::new(Filter::equal(n, Scalar::Number(3_i64.into())))),
    ]
}

/// Stores the same messages in each engine and sends the same searches. The hits and their scores must be equal, in the
/// same order.
pub async fn equal_answers(engines: Vec<(&str, Store)>) {
    let space = space("agreement");
    let mut answers: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, engine) in engines {
        let memory = memory(engine).await;
        for turns in conversation().chunks(50) {
            store(&memory, &space, turns.to_vec()).await;
        }
        answers.push((name, ask(&memory, &space).await));
    }
    let Some(((first, expected), others)) = answers.split_first() else { return };
    assert!(expected.iter().all(|answer| !answer.is_empty()));
    for (name, answer) in others {
        assert_eq!(answer, expected, "{name} and {first} differ");
    }
}

async fn ask(memory: &Memory, space: &Space) -> Vec<String> {
    let mut answers = Vec::new();
    for text in QUESTIONS {
        for filter in filters() {
            let question = SearchQuery { space: space.clone(), text: text.into(), filter, limit: 25 };
            let hits = memory.search(&question.checked(memory.limits()).unwrap()).await.unwrap().hits;
            let lines = hits.iter().map(|hit| {
                let (episode, score) = (&hit.episode, hit.score);
                let metadata = serde_json::Value::Object(episode.metadata.clone());
                format!("{score} {} {} {} {metadata}", episode.session, episode.producer, episode.content)
            });
            answers.push(lines.collect::<Vec<_>>().join("\n"));
        }
    }
    answers
}
