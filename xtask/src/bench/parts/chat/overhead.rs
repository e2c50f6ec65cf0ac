//! A whole turn without the model's own time, compared with a search, alternating.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{CHAT, SENTENCE, Setup, chat_request};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::http::Client;
use crate::bench::parts::chat::scripted_model::Script;
use crate::bench::parts::search_request;
use crate::bench::texts;

const TURNS: usize = 400;
const WARM: usize = 40;
/// The question is stored while the model thinks. A model that takes no time hides none of that; no real model is like
/// that, so its figure has no target and only shows the bound.
const THINKS: [Duration; 2] = [Duration::from_millis(30), Duration::ZERO];

/// Answers that say something new are stored to be found, which takes an embedding; only they have a target. Those that
/// quote what was recalled are kept for their conversation only.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let cases = [false, true].into_iter().flat_map(|quotes| THINKS.map(|thinks| (thinks, quotes)));
    let measured = cases.map(|(thinks, quotes)| {
        let target = if quotes || thinks.is_zero() { Target::None } else { Target::AtMost(2.0) };
        overhead(bench, thinks, quotes, target)
    });
    measured.collect()
}

fn overhead(bench: &Bench, thinks: Duration, quotes: bool, target: Target) -> Result<Figure> {
    let script = Script { latency: thinks, pause: Duration::ZERO, words: SENTENCE, quotes };
    let setup = Setup::new(bench, script)?;
    let (server, model) = (setup.server.client(), Client::new(setup.model.address));
    let mut chat = Chat { bench, setup: &setup, server, model, quotes, times: Times::default() };
    for number in 0..WARM + TURNS {
        if number == WARM {
            chat.times = Times::default();
        }
        chat.turn(number)?;
    }
    let Times { searches, added, before, after, embedding } = chat.times;
    let (search, added) = (median(searches), median(added));
    Ok(Figure {
        name: format!(
            "chat less model ({} ms, {} answer) / search",
            thinks.as_millis(),
            if quotes { "echo" } else { "new" }
        ),
        value: added / search,
        unit: "x",
        target,
        detail: format!(
            "{added:.2} and {search:.2} ms over {TURNS}; before the model {:.2}, after it {:.2}, where embedding \
             the answer alone is {:.2}",
            median(before),
            median(after),
            median(embedding)
        ),
    })
}

/// What was measured, in milliseconds.
#[derive(Default)]
struct Times {
    searches: Vec<f64>,
    /// Whole turns without the model's time.
    added: Vec<f64>,
    /// From the question until the model was asked.
    before: Vec<f64>,
    /// From the model's answer until the client had it.
    after: Vec<f64>,
    /// Embedding what the model answered, in this process.
    embedding: Vec<f64>,
}

struct Chat<'a> {
    bench: &'a Bench,
    setup: &'a Setup,
    server: Client,
    model: Client,
    quotes: bool,
    times: Times,
}

impl Chat<'_> {
    /// Measures a search, a turn, the turn's request sent to the model directly, and the embedding of the answer.
    fn turn(&mut self, number: usize) -> Result<()> {
        let asked = |number: usize| format!("{} (asked {number})", texts::question(number));
        let search = search_request(&asked(2 * number));
        let (_, search) = self.server.post("/v1/memories/search?shape=list", &search)?;
        let request = chat_request(&asked(2 * number + 1), false);
        let began = Instant::now();
        let (answer, whole) = self.server.post(CHAT, &request)?;
        let seen = self.setup.model.last()?;
        let said = answer["content"].as_str().unwrap_or_default();
        ensure!(answer["echo"] == self.quotes, "an answer was classified wrongly: {said}");
        let (_, own) = self.model.post("/v1/chat/completions", &seen.body)?;
        let embedding = Instant::now();
        std::hint::black_box(self.bench.model.embed_one(&format!("assistant: {said}")));
        let times = &mut self.times;
        times.embedding.push(millis(embedding.elapsed()));
        times.searches.push(millis(search));
        times.added.push(millis(whole) - millis(own));
        times.before.push(millis(seen.asked.saturating_duration_since(began)));
        times.after.push(millis((began + whole).saturating_duration_since(seen.answered)));
        Ok(())
    }
}
