use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Member, Purpose};
use memcloud_memory::{
    Chat, ChatEvent, ChatOptions, ChatSession, ChatTurn, CompletedTurn, FailedTurn, Limits, Retry,
};
use memcloud_ports::{Budget, ModelError, RefusalKind};
use serde_json::{Value, json};

use crate::scripted_model::{Reply, ScriptedModel};
use crate::world::{World, contents, query, space};

const QUESTION: &str = "Where do the keys hang?";
const MEMORY: &str = "The keys hang in the hall, behind the green door.";

fn turn(question: &str, streams: bool) -> ChatTurn {
    let body = json!({"messages": [{"role": "user", "content": question}], "stream": streams});
    ChatTurn {
        session: ChatSession {
            space: space(),
            session: "chat".into(),
            members: vec![Member::User("Ann".into()), Member::Agent("Bot".into())],
            user: "Ann".into(),
            agent: "Bot".into(),
        }
        .checked(&Limits::default())
        .unwrap(),
        question: question.into(),
        is_new: true,
        request: Arc::new(body.as_object().unwrap().clone().into()),
        limit: 5,
        retry: Retry::NEVER,
        asks_usage: true,
    }
}

/// A world that remembers where the keys are, and a chat with a model that follows this script.
async fn chat(
    script: impl IntoIterator<Item = Reply>,
    budget: Budget,
) -> (World, Arc<ScriptedModel>, Arc<Chat>) {
    let world = World::new().await;
    world.tell(&[&format!("Ann: {MEMORY}"), "Bob: Thank you!"]).await;
    let model = ScriptedModel::new(script);
    let gateway = model.gateway(&world, budget);
    let chat = Arc::new(Chat::new(&world.memory, gateway, ChatOptions::default()));
    (world, model, chat)
}

/// Runs a turn to its last event.
async fn run(chat: &Arc<Chat>, turn: ChatTurn) -> Result<CompletedTurn, FailedTurn> {
    let mut events = chat.begin(turn);
    while let Some(event) = events.recv().await {
        match event {
            ChatEvent::Done(done) => return Ok(*done),
            ChatEvent::Failed(failed) => return Err(*failed),
            ChatEvent::Recalled(..) | ChatEvent::Delta(_) | ChatEvent::Whole(_) => {}
        }
    }
    panic!("the turn ended without a last event");
}

/// The messages of the chat: who wrote what, and for which purpose.
async fn transcript(world: &World) -> Vec<(String, String, Purpose)> {
    let episodes = world.engine.episodes.newest(&space(), "chat", 100).await.unwrap();
    episodes.into_iter().map(|e| (e.producer, e.content, e.purpose)).collect()
}

fn system_message(body: &Value) -> &str {
    let first = &body["messages"][0];
    assert_eq!(first["role"], "system", "{body}");
    first["content"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_turn_recalls_asks_and_stores_both_sides() {
    let answer = "Look for them in the hall, I think.";
    let (world, model, chat) = chat([Reply::text(answer)], Budget::default()).await;
    let done = run(&chat, turn(QUESTION, false)).await.unwrap();
    assert_eq!((done.content.as_str(), done.is_echo, done.is_trimmed), (answer, false, false));
    assert!(done.context.memories.iter().any(|hit| hit.episode.content == MEMORY));
    let bodies = model.bodies();
    assert_eq!((bodies.len(), &bodies[0]["model"]), (1, &json!("scripted")));
    assert!(system_message(&bodies[0]).contains(MEMORY));
    assert_eq!(bodies[0]["messages"][1]["content"], QUESTION);
    let (question, answer) = (QUESTION.to_owned(), answer.to_owned());
    let stored = [("Ann".into(), question, Purpose::Recall), ("Bot".into(), answer, Purpose::Recall)];
    assert_eq!(transcript(&world).await, stored);
}

#[tokio::test(start_paused = true)]
async fn a_turn_embeds_its_question_once() {
    let (world, _, chat) = chat([Reply::text("In the hall, I think.")], Budget::default()).await;
    run(&chat, turn(QUESTION, false)).await.unwrap();
    assert_eq!(world.embedder.count(QUESTION), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_only_repeats_a_memory_is_neither_embedded_nor_found() {
    let (world, _, chat) = chat([Reply::text(MEMORY)], Budget::default()).await;
    let done = run(&chat, turn(QUESTION, false)).await.unwrap();
    assert!(done.is_echo);
    assert_eq!(transcript(&world).await[1].2, Purpose::Transcript);
    assert_eq!(world.embedder.count(MEMORY), 1, "only when the memory itself was stored");
    let found = world.memory.search(&query("keys hang", 10)).await.unwrap();
    assert_eq!(contents(&found.hits).iter().filter(|content| **content == MEMORY).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_question_is_stored_once() {
    let script = [Reply::Refuse(RefusalKind::BadRequest), Reply::text("In the hall, I think.")];
    let (world, _, chat) = chat(script, Budget::default()).await;
    let failed = run(&chat, turn(QUESTION, false)).await.unwrap_err();
    let done = run(&chat, turn(QUESTION, false)).await.unwrap();
    assert_eq!(failed.user_message, done.user_message);
    assert_eq!(transcript(&world).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_long_is_sent_with_less_context() {
    let overflow = Reply::Refuse(RefusalKind::ContextOverflow);
    let script = [overflow.clone(), overflow, Reply::text("I do not know.")];
    let (_, model, chat) = chat(script, Budget::default()).await;
    let done = run(&chat, turn(QUESTION, false)).await.unwrap();
    let bodies = model.bodies();
    assert_eq!(bodies.len(), 3);
    assert!(system_message(&bodies[0]).contains(MEMORY));
    assert_eq!(bodies[2]["messages"].as_array().unwrap().len(), 1, "at last without any context");
    assert!(done.is_trimmed && done.context.memories.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_beginning_of_a_broken_answer_is_stored_as_incomplete() {
    let (world, _, chat) = chat([Reply::Broken(vec!["They are ", "in"])], Budget::default()).await;
    let failed = run(&chat, turn(QUESTION, true)).await.unwrap_err();
    assert!(matches!(failed.error, ModelError::Cut(_)));
    assert_eq!(failed.content, "They are in");
    let ids = [failed.user_message.unwrap(), failed.assistant_message.unwrap()];
    let stored = world.engine.episodes.episodes(&space(), &ids).await.unwrap();
    assert_eq!(stored[1].metadata["incomplete"], true);
}

#[tokio::test(start_paused = true)]
async fn usage_is_not_asked_again_where_it_was_refused() {
    let refused = Reply::Refuse(RefusalKind::StreamOptionsUnsupported);
    let script = [refused, Reply::Stream(vec!["In ", "the hall."]), Reply::Stream(vec!["Yes."])];
    let (_, model, chat) = chat(script, Budget::default()).await;
    let done = run(&chat, turn(QUESTION, true)).await.unwrap();
    assert_eq!((done.content.as_str(), done.counted), ("In the hall.", false));
    run(&chat, turn("Are you sure?", true)).await.unwrap();
    let asked: Vec<bool> = model.bodies().iter().map(|body| body.get("stream_options").is_some()).collect();
    assert_eq!(asked, [true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_retried_and_others_are_not() {
    let failed = Reply::Refuse(RefusalKind::ServerFailed);
    let script = [failed.clone(), failed, Reply::text("In the hall, I think.")];
    let (_, model, patient) = chat(script, Budget::default()).await;
    let retried = ChatTurn { retry: Retry::BRIEFLY, ..turn(QUESTION, false) };
    run(&patient, retried.clone()).await.unwrap();
    assert_eq!(model.calls().len(), 3);
    let (_, model, refused) = chat([Reply::Refuse(RefusalKind::KeyRefused)], Budget::default()).await;
    run(&refused, retried).await.unwrap_err();
    assert_eq!(model.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_three_failures_calls_fail_fast_and_the_question_is_still_stored() {
    let (world, model, chat) = chat([], Budget::default()).await;
    for n in 0..3 {
        run(&chat, turn(&format!("Question {n}?"), false)).await.unwrap_err();
    }
    let failed = run(&chat, turn(QUESTION, false)).await.unwrap_err();
    assert!(matches!(failed.error, ModelError::Resting { .. }), "{:?}", failed.error);
    assert_eq!(model.calls().len(), 3);
    assert!(failed.user_message.is_some());
    assert_eq!(transcript(&world).await.len(), 4);
    tokio::time::advance(Duration::from_secs(6)).await;
    run(&chat, turn(QUESTION, false)).await.unwrap_err();
    assert_eq!(model.calls().len(), 4, "one call tries the model again");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_stops_calls_until_the_next_minute() {
    let budget = Budget { calls_per_minute: Some(1), ..Budget::default() };
    let (world, model, chat) = chat([Reply::text("One."), Reply::text("Two.")], budget).await;
    run(&chat, turn("Count, please.", false)).await.unwrap();
    let failed = run(&chat, turn("Go on, please.", false)).await.unwrap_err();
    assert!(matches!(failed.error, ModelError::Exhausted { daily: false, .. }), "{:?}", failed.error);
    assert_eq!(model.calls().len(), 1);
    world.clock.advance_minutes(1);
    run(&chat, turn("Go on now.", false)).await.unwrap();
    assert_eq!(chat.gateway().usage().await.unwrap().minute.calls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_ends_when_the_chat_is_closed() {
    let (world, _, chat) = chat([Reply::Hang], Budget::default()).await;
    let mut events = chat.begin(turn(QUESTION, false));
    assert!(matches!(events.recv().await, Some(ChatEvent::Recalled(..))));
    chat.close().await;
    match events.recv().await {
        Some(ChatEvent::Failed(failed)) => assert!(matches!(failed.error, ModelError::Stopping)),
        other => panic!("{other:?}"),
    }
    assert_eq!(transcript(&world).await.len(), 1, "the question is stored");
}
