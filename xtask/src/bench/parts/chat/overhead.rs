//! A whole turn without the model's own time, against a search: one of each by turns.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{SENTENCE, Stand, TALK, talk_request};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::http::Client;
use crate::bench::parts::chat::speaker::Manner;
use crate::bench::parts::search_request;
use crate::bench::texts;

const TURNS: usize = 400;
const WARM: usize = 40;
/// While the model thinks the question is stored. A model that does not think leaves nothing to hide that behind; there is
/// none, and its figure only tells where the bound is.
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
    let manner = Manner { latency: thinks, pause: Duration::ZERO, words: SENTENCE, quotes };
    let stand = Stand::new(bench, manner)?;
    let (server, model) = (stand.server.client()?, Client::new(stand.speaker.address)?);
    let mut talk = Talk { bench, stand: &stand, server, model, quotes, times: Times::default() };
    for number in 0..WARM + TURNS {
        if number == WARM {
            talk.times = Times::default();
        }
        talk.turn(number)?;
    }
    let Times { searches, added, before, after, embedding } = talk.times;
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
    /// From the question to the model being asked.
    before: Vec<f64>,
    /// From the model's answer to the client having it.
    after: Vec<f64>,
    /// Embedding what the model answered, in this process.
    embedding: Vec<f64>,
}

struct Talk<'a> {
    bench: &'a Bench,
    stand: &'a Stand,
    server: Client,
    model: Client,
    quotes: bool,
    times: Times,
}

impl Talk<'_> {
    /// A search, a turn of a conversation, the same request put to the model directly, and the embedding of its answer.
    fn turn(&mut self, number: usize) -> Result<()> {
        let asked = |number: usize| format!("{} (asked {number})", texts::question(number));
        let search = search_request(&asked(2 * number));
        let (_, search) = self.server.post("/v1/memories/search?shape=list", &search)?;
        let request = talk_request(&asked(2 * number + 1), false);
        let began = Instant::now();
        let (answer, whole) = self.server.post(TALK, &request)?;
        let heard = self.stand.speaker.last()?;
        let said = answer["content"].as_str().unwrap_or_default();
        ensure!(answer["echo"] == self.quotes, "an answer was taken for what it is not: {said}");
        let (_, own) = self.model.post("/v1/chat/completions", &heard.body)?;
        let embedding = Instant::now();
        std::hint::black_box(self.bench.model.embed_one(&format!("assistant: {said}")));
        let times = &mut self.times;
        times.embedding.push(millis(embedding.elapsed()));
        times.searches.push(millis(search));
        times.added.push(millis(whole) - millis(own));
        times.before.push(millis(heard.asked.saturating_duration_since(began)));
        times.after.push(millis((began + whole).saturating_duration_since(heard.spoke)));
        Ok(())
    }
}
