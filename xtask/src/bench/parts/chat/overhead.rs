//! A whole turn without the model's own time, compared with a search, alternating.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use memcloud_client::Client;
use memcloud_fake_llm::{Fault, Pause};

use super::completions::Endpoint;
use super::{SENTENCE, Setup, chat_request, says};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
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
    // The stand-in quotes what it is given, unless it is made to say something else.
    let faults = if quotes {
        vec![Fault::Slow { time: Pause(thinks) }]
    } else {
        says(thinks, SENTENCE, Duration::ZERO)
    };
    let setup = Setup::new(bench, faults)?;
    let (server, model) = (setup.server.client()?, Endpoint::at(setup.model.address())?);
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
    model: Endpoint,
    quotes: bool,
    times: Times,
}

impl Chat<'_> {
    /// Measures a search, a turn, the turn's request sent to the model directly, and the embedding of the answer.
    fn turn(&mut self, number: usize) -> Result<()> {
        let asked = |number: usize| format!("{} (asked {number})", texts::question(number));
        let search = search_request(&asked(2 * number));
        let (_, search) = self.bench.timed(self.server.search(&search))?;
        let request = chat_request(&asked(2 * number + 1));
        let began = Instant::now();
        let (answer, whole) = self.bench.timed(self.server.chat(&request))?;
        let call = self.setup.last_call()?;
        let (received, answered) = call.received.zip(call.answered).context("the model did not answer")?;
        let said = answer.content;
        ensure!(answer.end.echo == self.quotes, "an answer was classified wrongly: {said}");
        let ((), own) = self.bench.timed(self.model.whole(&call.body))?;
        let embedding = Instant::now();
        std::hint::black_box(self.bench.model.embed_one(&format!("assistant: {said}")));
        let times = &mut self.times;
        times.embedding.push(millis(embedding.elapsed()));
        times.searches.push(millis(search));
        times.added.push(millis(whole) - millis(own));
        times.before.push(millis(received.saturating_duration_since(began)));
        times.after.push(millis((began + whole).saturating_duration_since(answered)));
        Ok(())
    }
}
