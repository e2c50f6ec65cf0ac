//! Many chats at once: the memory they take, and whether every answer arrives and is stored whole.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::{Either, join_all, select};
use memcloud_api::native::ChatEnd;
use memcloud_client::{ChatEvent, ChatStream, Client};

use super::{SENTENCE, Setup, chat_request, says};
use crate::bench::figures::{Figure, Target};
use crate::bench::parts::GROUP;
use crate::bench::server::Server;
use crate::bench::{Bench, texts};

const STREAMS: usize = 200;
const WORDS: usize = 200;
const THINKS: Duration = Duration::from_millis(300);
/// Slow enough that the first streams are still open when the last begin.
const PAUSE: Duration = Duration::from_millis(60);
const WARM: usize = 40;
/// How often the server's memory is measured.
const EVERY: Duration = Duration::from_millis(10);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let setup = Setup::new(bench, says(Duration::ZERO, SENTENCE, Duration::ZERO))?;
    let (client, open) = (setup.server.client()?, Open::default());
    for number in 0..WARM {
        bench.wait(chat(&client, number, &open))?;
    }
    setup.model.set_faults(says(THINKS, WORDS, PAUSE));
    let before = setup.server.resident_bytes()?;
    let chats = (WARM..WARM + STREAMS).map(|number| whole(&client, number, &open));
    let (most, said) = bench.wait(most_memory_during(&setup.server, join_all(chats)))?;
    ensure!(open.most.get() == STREAMS, "only {} of {STREAMS} streams were open at once", open.most.get());
    let failed: Vec<_> = said.into_iter().filter_map(Result::err).collect();
    let why = failed.first().map(|error| format!("the first: {error:#}")).unwrap_or_default();
    Ok(vec![
        Figure {
            name: format!("{STREAMS} streams at once: memory more"),
            value: (most - before) / 1e6,
            unit: "MB",
            target: Target::AtMost(100.0),
            detail: format!("{:.0} MB before, {:.0} MB at most", before / 1e6, most / 1e6),
        },
        Figure {
            name: format!("{STREAMS} streams at once: incomplete answers"),
            value: failed.len() as f64,
            unit: "",
            target: Target::AtMost(0.0),
            detail: format!("{WORDS} words each; {why}"),
        },
    ])
}

/// How many streams are open, and the most that were.
#[derive(Default)]
struct Open {
    now: Cell<usize>,
    most: Cell<usize>,
}

impl Open {
    /// Reads a stream to its end, which counts as open meanwhile.
    async fn read(&self, stream: ChatStream) -> Result<Answer> {
        self.now.set(self.now.get() + 1);
        self.most.set(self.most.get().max(self.now.get()));
        let read = read(stream).await;
        self.now.set(self.now.get() - 1);
        read
    }
}

/// The server's largest resident memory during some work, in bytes, and what came of the work.
async fn most_memory_during<T>(server: &Server, work: impl Future<Output = T>) -> Result<(f64, T)> {
    let mut work = Box::pin(work);
    let mut most = server.resident_bytes()?;
    loop {
        match select(work, Box::pin(tokio::time::sleep(EVERY))).await {
            Either::Left((done, _)) => return Ok((most, done)),
            Either::Right(((), rest)) => work = rest,
        }
        most = most.max(server.resident_bytes()?);
    }
}

/// Checks that a chat says all its words.
async fn whole(client: &Client, number: usize, open: &Open) -> Result<()> {
    let said = chat(client, number, open).await?;
    ensure!(said.split(' ').count() == WORDS, "the answer is incomplete: {said}");
    Ok(())
}

/// Runs one chat to its end. Answers what the model said, after checking that it is stored.
async fn chat(client: &Client, number: usize, open: &Open) -> Result<String> {
    let question = format!("{} (asked {number})", texts::question(number));
    let answer = open.read(client.chat_stream(&chat_request(&question)).await?).await?;
    for (id, text) in [(answer.end.user_message, &question), (answer.end.assistant_message, &answer.said)] {
        let id = id.with_context(|| format!("not stored: {text}"))?;
        let stored = client.episode(GROUP, id).await?.episode.content;
        ensure!(stored == *text, "something else was stored: {stored}");
    }
    Ok(answer.said)
}

/// What the model said, and the end of the turn.
struct Answer {
    said: String,
    end: ChatEnd,
}

async fn read(mut stream: ChatStream) -> Result<Answer> {
    let mut said = String::new();
    loop {
        match stream.next().await? {
            ChatEvent::Memories(_) => {}
            ChatEvent::Delta(more) => said.push_str(&more),
            ChatEvent::Done(end) => return Ok(Answer { said, end }),
        }
    }
}
