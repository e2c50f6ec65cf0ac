use memcloud_domain::{Attribute, Comparison, Field, Filter, NewEpisode, Scalar, Space, Test, Timestamp};
use memcloud_memory::{Limits, SearchQuery};
use memcloud_ports::FactsOf;
use proptest::prelude::*;

use crate::world::{World, contents, message, query, request, space, store, unchecked};

const CHAT: [&str; 8] = [
    "Ann: We moved to Lisbon last spring.",
    "Bob: How is the weather there?",
    "Ann: Sunny, and the food is great.",
    "Bob: My sister Clara breeds alpacas.",
    "Ann: How many alpacas does she have?",
    "Bob: Seven, and one of them is black.",
    "Ann: I started to learn Portuguese.",
    "Bob: I repaired the old bicycle yesterday.",
];

#[tokio::test]
async fn the_message_that_answers_comes_first() {
    let world = World::new().await;
    world.tell(&CHAT).await;
    for (text, best) in [
        ("Who breeds alpacas?", "My sister Clara breeds alpacas."),
        ("Where did they move last spring?", "We moved to Lisbon last spring."),
        ("Which bicycle was repaired?", "I repaired the old bicycle yesterday."),
    ] {
        let found = world.memory.search(&query(text, 3)).await.unwrap();
        assert_eq!(contents(&found.hits)[0], best, "{text}");
        assert_eq!(found.hits.len(), 3);
        assert!(found.hits.is_sorted_by(|a, b| a.score >= b.score));
        for hit in &found.hits {
            assert!((hit.score - hit.explanation.parts.sum()).abs() < 1e-5, "the parts explain the score");
        }
    }
    let found = world.memory.search(&query("Who breeds alpacas?", 1)).await.unwrap();
    assert_eq!(found.hits[0].explanation.shared_words, ["breed", "alpaca"]);
}

#[tokio::test]
async fn messages_of_the_person_who_is_named_are_preferred() {
    let world = World::new().await;
    world.tell(&["Ann: My favorite color is green.", "Bob: My favorite color is green."]).await;
    for name in ["Ann", "Bob"] {
        let found =
            world.memory.search(&query(&format!("What is {name}'s favorite color?"), 2)).await.unwrap();
        assert_eq!(found.hits[0].episode.producer, name);
        assert!(found.hits[0].explanation.parts.named > 0.0);
        assert!(found.hits[1].explanation.parts.named <= 0.0);
    }
    assert_eq!(
        world.embedder.count("What is my favorite color?"),
        1,
        "both queries are embedded as one text"
    );
}

#[tokio::test]
async fn messages_of_the_time_that_is_mentioned_are_preferred() {
    let world = World::new().await;
    let at = |time: &str| NewEpisode {
        created_at: Some(time.parse::<Timestamp>().unwrap()),
        session: time.into(),
        ..message("Ann", "We went to the lake and swam.")
    };
    let times = ["2023-03-10T10:00:00Z", "2023-05-20T10:00:00Z", "2023-06-06T10:00:00Z"];
    store(&world.memory, request(times.map(at).into())).await.unwrap();
    for (text, time) in [
        ("Who swam in March?", times[0]),
        ("Who swam in May 2023?", times[1]),
        ("Who swam last week?", times[2]),
    ] {
        let found = world.memory.search(&query(text, 3)).await.unwrap();
        assert_eq!(found.hits[0].episode.session, time, "{text}");
        assert!(found.hits[1].explanation.parts.time_range <= 0.0);
    }
}

#[tokio::test]
async fn a_filter_cuts_before_ranking() {
    let world = World::new().await;
    let mut episodes: Vec<NewEpisode> =
        (0..50).map(|n| message("Bob", &format!("Alpacas are nice, number {n}."))).collect();
    let tagged = |n: i64| NewEpisode {
        metadata: serde_json::Map::from_iter([("n".to_owned(), n.into())]),
        ..message("Ann", &format!("Something else, number {n}."))
    };
    episodes.extend((0..4).map(tagged));
    store(&world.memory, request(episodes)).await.unwrap();
    let filter = Filter::Condition(
        Attribute::Metadata(vec!["n".into()]),
        Test::Compare(Comparison::GreaterOrEqual, Scalar::of(&1.into()).unwrap()),
    );
    let query = SearchQuery { filter, ..unchecked("alpacas", 10) };
    let found = world.memory.search(&query.checked(world.memory.limits()).unwrap()).await.unwrap();
    let mut found = contents(&found.hits);
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3].map(|n| format!("Something else, number {n}.")));
}

#[tokio::test]
async fn deleted_episodes_are_not_found() {
    let world = World::new().await;
    let ids = world.tell(&CHAT).await;
    world.memory.search(&query("alpacas", 3)).await.unwrap();
    assert_eq!(world.engine.episodes.delete(&space(), &ids[3..4]).await.unwrap(), 1);
    let found = world.memory.search(&query("Who breeds alpacas?", 8)).await.unwrap();
    assert_eq!(found.hits.len(), 7);
    assert!(!contents(&found.hits).contains(&"My sister Clara breeds alpacas."));
}

#[tokio::test]
async fn a_repeated_query_is_embedded_once() {
    let world = World::new().await;
    world.tell(&CHAT).await;
    for _ in 0..3 {
        world.memory.search(&query("Who breeds alpacas?", 3)).await.unwrap();
    }
    assert_eq!(world.embedder.count("Who breeds alpacas?"), 1);
}

#[tokio::test]
async fn episodes_and_facts_share_one_embedding() {
    let world = World::new().await;
    world.tell(&CHAT).await;
    let of = FactsOf::space(&space());
    let (found, facts) = world.memory.search_both(&query("Who breeds alpacas?", 3), &of, 5).await.unwrap();
    assert_eq!((found.hits.len(), facts.len()), (3, 0));
    assert_eq!(world.embedder.count("Who breeds alpacas?"), 1);
}

#[test]
fn a_query_that_breaks_a_rule_is_refused() {
    let fields = |query: SearchQuery| -> Vec<Field> {
        let violations = query.checked(&Limits::default()).unwrap_err();
        violations.into_iter().map(|violation| violation.field).collect()
    };
    assert_eq!(fields(unchecked(" ", 3)), [Field::Query]);
    assert_eq!(fields(unchecked(&"x".repeat((1 << 20) + 1), 3)), [Field::Query]);
    assert_eq!(fields(unchecked("x", -1)), [Field::Limit]);
    assert_eq!(fields(unchecked("x", 1_001)), [Field::Limit]);
    let space = Space::new("universal", "a\0b");
    assert_eq!(fields(SearchQuery { space, ..unchecked("", 0) }), [Field::Query, Field::Space, Field::Limit]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In a small space every row is a candidate, so a filter returns exactly the messages that pass it.
    #[test]
    fn a_filtered_search_returns_what_passes(
        producers in prop::collection::vec("[a-c]", 1..30),
        wanted in "[a-d]",
        negated: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let episodes = producers.iter().map(|producer| message(producer, "The kettle is on.")).collect();
            store(&world.memory, request(episodes)).await.unwrap();
            let is_wanted = Filter::equal(Attribute::Producer, wanted.as_str());
            let filter = if negated { Filter::Not(Box::new(is_wanted)) } else { is_wanted };
            let query = SearchQuery { filter, ..unchecked("kettle", 100) };
            let hits = world.memory.search(&query.checked(world.memory.limits()).unwrap()).await.unwrap().hits;
            let expected = producers.iter().filter(|producer| (**producer == wanted) != negated).count();
            prop_assert_eq!(hits.len(), expected);
            prop_assert!(hits.iter().all(|hit| (hit.episode.producer == wanted) != negated));
            Ok(())
        })?;
    }
}
