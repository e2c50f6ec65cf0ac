use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, Clock, Fact, FactSet, FactTarget, Metadata, Tag, TagId,
};
use memcloud_memory::{Learner, LearnerOptions};
use memcloud_ports::{Budget, FactChanges, FactsOf, NewFact, RefusalKind, Trigger};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scripted_model::{Reply, ScriptedModel};
use crate::world::{World, query, space};

/// How long a test waits for something, in paused time.
const PATIENCE: Duration = Duration::from_mins(10);

/// A learner that runs until it is dropped.
struct Running {
    model: Arc<ScriptedModel>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(world: &World, script: impl IntoIterator<Item = Reply>) -> Self {
        let model = ScriptedModel::new(script);
        let trigger = Trigger { messages: 1, age: Duration::ZERO };
        let options = LearnerOptions { trigger, every: Duration::from_secs(1), pause: Duration::ZERO };
        let learner = Learner::new(&world.memory, model.gateway(world, Budget::default()), None, options);
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::new(learner).run(stop.clone()));
        Self { model, stop, task }
    }

    async fn stop(self) -> Arc<ScriptedModel> {
        self.stop.cancel();
        self.task.await.unwrap();
        self.model
    }
}

/// An answer with one command.
fn command(verb: &str, fact: Option<u8>, value: &str) -> Reply {
    let command = json!({"command": verb, "fact": fact, "tag": "Food", "feature": "favorite drink",
        "value": value, "messages": [1]});
    Reply::text(json!({"commands": [command]}).to_string())
}

/// A category of Ann's facts in which boats are a tag.
fn sailing(prompt: &str) -> Category {
    Category {
        id: CategoryId(Uuid::from_u128(1)),
        origin: CategoryOrigin::Set(ann()),
        name: "sailing".into(),
        description: String::new(),
        prompt: prompt.into(),
        version: 1,
        tags: vec![Tag {
            id: TagId(Uuid::from_u128(2)),
            name: "Boats".into(),
            description: "what she sails".into(),
        }],
    }
}

fn ann() -> FactSet {
    FactSet::about(&space(), "Ann")
}

/// Creates the space, and keeps Ann's profile from being learned.
async fn without_profile(world: &World) -> FactTarget {
    world.tell(&["Bot: Hello."]).await;
    let profile = FactTarget { set: ann(), category: "profile".into() };
    assert!(world.engine.categories.enable_category(&profile, false).await.unwrap());
    profile
}

/// An answer that adds a fact of this tag.
fn boat(tag: &str, value: &str) -> Value {
    json!({"command": "add", "fact": null, "tag": tag, "feature": "boat", "value": value, "messages": [1]})
}

async fn facts(world: &World) -> Vec<Fact> {
    let of = FactsOf::space(&space());
    world.engine.facts.facts(&of).await.unwrap().into_iter().map(|fact| fact.fact).collect()
}

/// Waits until the queue has no message that waits or, with `parked`, exactly one that is parked.
async fn settled(world: &World, parked: u64) {
    let settled = async {
        loop {
            let queue = world.engine.learning.waiting(None).await.unwrap();
            if (queue.waiting, queue.parked) == (0, parked) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
}

async fn calls(model: &ScriptedModel, count: usize) {
    let called = async {
        while model.calls().len() < count {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, called).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_become_facts_that_cite_them() {
    let world = World::learning().await;
    let ids = world.tell(&["Ann: I like green tea best."]).await;
    let learner = Running::start(&world, [command("add", None, "green tea")]);
    settled(&world, 0).await;
    let known = facts(&world).await;
    assert_eq!(known.len(), 1);
    let fact = &known[0];
    assert_eq!((fact.target.set.owner(), fact.tag.as_str()), (Some("Ann"), "Food"));
    assert_eq!((fact.name.as_str(), fact.value.as_str()), ("favorite drink", "green tea"));
    assert_eq!((&fact.citations, fact.model.as_str()), (&ids, "scripted"));
    let of = FactsOf::owners(&space(), ["Ann"]);
    let found = world.memory.search_facts(&query("What tea?", 5), &of, 5).await.unwrap();
    assert_eq!(found[0].fact.value, "green tea");
    let model = learner.stop().await;
    let asked = model.bodies()[0]["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(asked.contains("I like green tea best."), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_fact_still_answers_for_its_own_time() {
    let world = World::learning().await;
    let script = [command("add", None, "green tea"), command("replace", Some(1), "coffee")];
    let learner = Running::start(&world, script);
    world.tell(&["Ann: I like green tea best."]).await;
    settled(&world, 0).await;
    let before = facts(&world).await[0].valid_from;
    world.clock.advance_minutes(60);
    world.tell(&["Ann: These days I prefer coffee."]).await;
    settled(&world, 0).await;
    let now = facts(&world).await;
    assert_eq!(now.iter().map(|fact| fact.value.as_str()).collect::<Vec<_>>(), ["coffee"]);
    let of = FactsOf { as_of: Some(before), ..FactsOf::space(&space()) };
    assert_eq!(world.engine.facts.facts(&of).await.unwrap()[0].fact.value, "green tea");
    learner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_parked_after_five_unusable_answers() {
    let world = World::learning().await;
    world.tell(&["Ann: I like green tea best."]).await;
    let learner = Running::start(&world, std::iter::repeat_n(Reply::text("I cannot help with that."), 9));
    settled(&world, 1).await;
    let model = learner.stop().await;
    assert_eq!(model.calls().len(), 5);
    let parked = world.engine.learning.parked(None, 10).await.unwrap();
    assert_eq!(parked[0].attempts, 5);
    assert!(parked[0].reason.contains("without JSON: I cannot help"), "{}", parked[0].reason);
    assert!(facts(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_everything_parks_nothing() {
    for kind in [RefusalKind::KeyRefused, RefusalKind::ModelUnknown, RefusalKind::QuotaExhausted] {
        let world = World::learning().await;
        world.tell(&["Ann: I like green tea best."]).await;
        let refusals = std::iter::repeat_n(Reply::Refuse(kind), 8);
        let learner = Running::start(&world, refusals.chain([command("add", None, "green tea")]));
        settled(&world, 0).await;
        assert_eq!(learner.stop().await.calls().len(), 9, "{kind:?}");
        assert_eq!(facts(&world).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_answer_format_is_not_asked_for_again() {
    let world = World::learning().await;
    world.tell(&["Ann: I like green tea best."]).await;
    let refused = Reply::Refuse(RefusalKind::AnswerFormatUnsupported);
    let script = [refused.clone(), refused, command("add", None, "green tea")];
    let learner = Running::start(&world, script);
    settled(&world, 0).await;
    let model = learner.stop().await;
    let formats: Vec<Value> =
        model.bodies().iter().map(|body| body["response_format"]["type"].clone()).collect();
    assert_eq!(formats, [json!("json_schema"), json!("json_object"), Value::Null]);
    let mut keys: Vec<_> = model.calls().into_iter().map(|call| call.idempotency_key.unwrap()).collect();
    keys.dedup();
    assert_eq!(keys.len(), 3, "another request has another key");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_stop_interrupted_is_made_again_under_its_key() {
    let world = World::learning().await;
    world.tell(&["Ann: I like green tea best."]).await;
    let learner = Running::start(&world, [Reply::Hang]);
    calls(&learner.model, 1).await;
    let interrupted = learner.stop().await.calls();
    let learner = Running::start(&world, [command("add", None, "green tea")]);
    settled(&world, 0).await;
    let repeated = learner.stop().await.calls();
    assert_eq!(interrupted[0].idempotency_key, repeated[0].idempotency_key);
    assert_eq!(Value::Object(interrupted[0].body.clone()), Value::Object(repeated[0].body.clone()));
}

#[tokio::test(start_paused = true)]
async fn a_crowded_tag_is_merged() {
    let world = World::learning().await;
    world.tell(&["Ann: I like many drinks."]).await;
    let commands: Vec<Value> = (0..20)
        .map(|n| {
            json!({"command": "add", "fact": null, "tag": "Food", "feature": format!("drink {n}"),
                "value": format!("tea {n}"), "messages": [1]})
        })
        .collect();
    let merge = json!({"merges": [{"facts": [1, 2, 3], "feature": "drinks", "value": "teas 0 to 2"}]});
    let script = [Reply::text(json!({"commands": commands}).to_string()), Reply::text(merge.to_string())];
    let learner = Running::start(&world, script);
    calls(&learner.model, 2).await;
    learner.stop().await;
    let known = facts(&world).await;
    assert_eq!(known.len(), 18);
    let merged = known.iter().find(|fact| fact.name == "drinks").unwrap();
    assert_eq!((merged.value.as_str(), merged.citations.len()), ("teas 0 to 2", 1));
}

#[tokio::test(start_paused = true)]
async fn each_enabled_category_learns_with_its_own_prompt_and_tags() {
    let world = World::learning().await;
    let profile = without_profile(&world).await;
    assert!(world.engine.categories.put_category(&sailing("Keep what she sails.")).await.unwrap());
    world.tell(&["Ann: I sail a dinghy and like green tea."]).await;
    let commands = [boat("Boats", "a dinghy"), boat("Food", "green tea"), boat("boats", "a raft")];
    let learner = Running::start(&world, [Reply::text(json!({"commands": commands}).to_string())]);
    settled(&world, 0).await;
    let model = learner.stop().await;
    let known = facts(&world).await;
    let learned: Vec<_> = known.iter().map(|fact| (fact.tag.as_str(), fact.value.as_str())).collect();
    assert_eq!(learned, [("Boats", "a dinghy"), ("Boats", "a raft")], "Food is not a tag of this category");
    assert!(known.iter().all(|fact| fact.target.category == "sailing" && fact.prompt == "sailing/1"));
    let body = &model.bodies()[0];
    let system = body["messages"][0]["content"].as_str().unwrap();
    assert!(
        system.starts_with("Keep what she sails.\n") && system.ends_with("- Boats: what she sails\n"),
        "{system}"
    );
    let command = &body["response_format"]["json_schema"]["schema"]["properties"]["commands"]["items"];
    assert_eq!(command["properties"]["tag"]["enum"], json!(["Boats"]));

    // The profile is learned again from what comes next, in a call of its own.
    assert!(world.engine.categories.enable_category(&profile, true).await.unwrap());
    world.tell(&["Ann: I still sail it, and drink coffee."]).await;
    let nothing = Reply::text(r#"{"commands": []}"#);
    let learner = Running::start(&world, [nothing.clone(), nothing]);
    settled(&world, 0).await;
    let model = learner.stop().await;
    let enums = model.bodies().into_iter().map(|body| {
        let command = &body["response_format"]["json_schema"]["schema"]["properties"]["commands"]["items"];
        command["properties"]["tag"]["enum"].as_array().unwrap().len()
    });
    let mut enums: Vec<usize> = enums.collect();
    enums.sort_unstable();
    assert_eq!(enums, [1, 28]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_prompt_is_used_at_once_and_recorded() {
    let world = World::learning().await;
    without_profile(&world).await;
    assert!(world.engine.categories.put_category(&sailing("Keep what she sails.")).await.unwrap());
    world.tell(&["Ann: I sail a dinghy."]).await;
    let learn = |value: &str| Reply::text(json!({"commands": [boat("Boats", value)]}).to_string());
    let learner = Running::start(&world, [learn("a dinghy"), learn("a yacht")]);
    settled(&world, 0).await;
    assert!(world.engine.categories.put_category(&sailing("Keep only big boats.")).await.unwrap());
    world.tell(&["Ann: I sail a yacht."]).await;
    settled(&world, 0).await;
    let model = learner.stop().await;
    let prompts: Vec<String> = facts(&world).await.into_iter().map(|fact| fact.prompt).collect();
    assert_eq!(prompts, ["sailing/1", "sailing/2"]);
    let system = model.bodies()[1]["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(system.starts_with("Keep only big boats."), "{system}");
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_for_a_disabled_category_are_not_learned_from() {
    let world = World::learning().await;
    world.tell(&["Ann: I like green tea best."]).await;
    without_profile(&world).await;
    let learner = Running::start(&world, []);
    settled(&world, 0).await;
    assert!(learner.stop().await.calls().is_empty());
    assert!(facts(&world).await.is_empty());
}

#[tokio::test]
async fn facts_made_by_hand_keep_to_the_limits() {
    let world = World::learning().await;
    let ids = world.tell(&["Ann: I like green tea best."]).await;
    let target = FactTarget { set: ann(), category: "profile".into() };
    let fact = || NewFact {
        tag: "Food".into(),
        name: "drink".into(),
        value: "green tea".into(),
        metadata: Metadata::new(),
        citations: ids.clone(),
        valid_from: world.clock.now(),
        vector: None,
    };
    let id = world.memory.add_fact(&target, fact()).await.unwrap().unwrap();
    let long = "x".repeat(2_000);
    let deep = (0..20).fold(json!({}), |inner, _| json!({"a": inner})).as_object().unwrap().clone();
    let broken = [
        ("empty_name", NewFact { tag: " ".into(), ..fact() }),
        ("name_too_long", NewFact { name: long.clone(), ..fact() }),
        ("empty_content", NewFact { value: "\u{200b}".into(), ..fact() }),
        ("content_too_long", NewFact { value: "x".repeat(20_000), ..fact() }),
        ("nul_character", NewFact { value: "a\0b".into(), ..fact() }),
        ("metadata_too_deep", NewFact { metadata: deep, ..fact() }),
        ("too_many_values", NewFact { citations: vec![ids[0]; 1_001], ..fact() }),
    ];
    for (code, new) in broken {
        let changes = FactChanges {
            tag: Some(new.tag.clone()),
            name: Some(new.name.clone()),
            value: Some(new.value.clone()),
            metadata: Some(new.metadata.clone()),
            citations: Some(new.citations.clone()),
            ..FactChanges::default()
        };
        assert_eq!(world.memory.add_fact(&target, new).await.unwrap_err().code(), code);
        let changed = world.memory.update_fact(&ann().scope, id, changes).await;
        assert_eq!(changed.unwrap_err().code(), code);
    }
    let keys = (0..17).map(|key| (key.to_string(), String::new())).collect();
    for (code, target) in [
        ("nul_character", FactTarget { category: "a\0".into(), ..target.clone() }),
        ("name_too_long", FactTarget { set: FactSet::about(&space(), long), ..target.clone() }),
        ("too_many_values", FactTarget { set: FactSet { metadata: keys, ..ann() }, ..target }),
    ] {
        assert_eq!(world.memory.add_fact(&target, fact()).await.unwrap_err().code(), code);
    }
    assert_eq!(facts(&world).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn facts_made_by_hand_are_found_and_learned_on() {
    let world = World::learning().await;
    let valid_from = world.clock.now();
    let ids = world.tell(&["Ann: I like green tea best."]).await;
    let target = FactTarget { set: ann(), category: "profile".into() };
    let new = NewFact {
        tag: "Food".into(),
        name: "favorite drink".into(),
        value: "green tea".into(),
        metadata: json!({"source": "form"}).as_object().unwrap().clone(),
        citations: ids,
        valid_from,
        vector: None,
    };
    let id = world.memory.add_fact(&target, new).await.unwrap().unwrap();
    let changes = FactChanges { value: Some("oolong tea".into()), ..FactChanges::default() };
    assert!(world.memory.update_fact(&ann().scope, id, changes).await.unwrap());
    assert_eq!(world.embedder.count("Food, favorite drink: oolong tea"), 1, "the changed text is embedded");
    let found = world
        .memory
        .search_facts(&query("oolong tea?", 5), &FactsOf::owners(&space(), ["Ann"]), 5)
        .await
        .unwrap();
    assert_eq!((found[0].fact.id, found[0].fact.value.as_str()), (id, "oolong tea"));
    let learner = Running::start(&world, [command("replace", Some(1), "coffee")]);
    settled(&world, 0).await;
    learner.stop().await;
    let known = facts(&world).await;
    assert_eq!((known[0].value.as_str(), known[0].prompt.as_str(), known.len()), ("coffee", "profile/1", 1));
}
