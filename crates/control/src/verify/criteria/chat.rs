use memcloud_api::native::ChatAnswer;
use memcloud_client::Client;
use memcloud_domain::EpisodeId;

use crate::verify::run::{Run, no_model};
use crate::verify::trail::{Finding, Request, Trail};
use crate::verify::{Criterion, Evidence};

const SESSION: &str = "first-chat";
const OTHER_SESSION: &str = "second-chat";

/// Says a random word in a chat, then asks for it in the same chat and in another one. Neither question is sent with what was
/// said before. Each must be answered, and the memories that the model was given must contain that message, word for word
/// and with the id under which it was stored. The wording of the answer is the model's own and is not checked.
pub(in crate::verify) async fn check(run: &Run<'_>, client: &Client) -> Evidence {
    if !run.options.has_llm {
        return run.not_checked(Criterion::Chat, no_model());
    }
    let trail = Trail::of(run);
    let found = remembers(&trail, client).await;
    trail.conclude(Criterion::Chat, found)
}

async fn remembers(trail: &Trail<'_>, client: &Client) -> Result<(), Finding> {
    let said = say(trail, client, SESSION, &trail.run.script.chatted.said).await?;
    let Some(id) = said.end.user_message else {
        return Err(Finding::failed(
            "the chat did not store what the user said",
            "read the log of the instance",
        ));
    };
    let asks = |session| asks(trail, client, session, id.0);
    let (same, other) = tokio::join!(asks(SESSION), asks(OTHER_SESSION));
    same.and(other)
}

/// Asks in a session for what was said in the first one.
async fn asks(trail: &Trail<'_>, client: &Client, session: &str, id: EpisodeId) -> Result<(), Finding> {
    let secret = &trail.run.script.chatted;
    let answer = say(trail, client, session, &secret.question).await?;
    let id = id.to_string();
    let mut memories = answer.context.memories.iter();
    if memories.any(|memory| memory.uid == id && memory.content == secret.said) {
        return Ok(());
    }
    let place = if session == SESSION { "the same session" } else { "another session" };
    Err(Finding::failed(
        format!("a chat in {place} did not recall what was said before: '{}'", secret.said),
        "check the readiness and the log of the instance",
    ))
}

async fn say(trail: &Trail<'_>, client: &Client, session: &str, text: &str) -> Result<ChatAnswer, Finding> {
    let turn = trail.run.script.turn(session, text);
    let request = Request::post("/v1/chat", &turn).of_llm(trail.left());
    let answer = trail.send(request, client.chat(&turn)).await?;
    if answer.content.trim().is_empty() {
        let hint = "check that the language model answers with text";
        return Err(Finding::failed("the language model answered nothing", hint));
    }
    Ok(answer)
}
