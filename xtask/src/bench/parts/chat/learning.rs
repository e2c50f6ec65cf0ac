//! Stores on a server that learns facts from them, alternating with stores on a server that learns nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memcloud_fake_llm::{FakeLlm, Options};
use serde_json::{Value, json};

use super::settings;
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::http::Client;
use crate::bench::parts::GROUP;
use crate::bench::server::Server;
use crate::bench::texts;

const STORES: usize = 1_500;
/// How many stores at least come before the measured ones; more until the model is asked.
const WARM: usize = 100;
const NEVER_ASKED: usize = 5_000;
const PEOPLE: [&str; 4] = ["ann", "bob", "clara", "dana"];
const CITIES: [&str; 7] = ["Lisbon", "Oslo", "Kyoto", "Quito", "Dakar", "Hobart", "Riga"];
const LIKES: [&str; 11] =
    ["tea", "chess", "rain", "jazz", "hiking", "cherries", "old maps", "trains", "snow", "poetry", "pottery"];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let model = {
        let _inside = runtime.enter();
        FakeLlm::start(Options { latency: Duration::from_millis(300), ..Options::default() })?
    };
    let data = [tempfile::tempdir()?, tempfile::tempdir()?];
    let serve = |at: usize, learns: bool| {
        let mut settings = settings(&model.url());
        settings.push(("MEMCLOUD_PROFILE", learns.to_string()));
        settings.push(("MEMCLOUD_PROFILE_MESSAGES", "5".into()));
        Server::start_on(data[at].path(), &bench.model_dir, &settings)
    };
    let servers = [serve(0, false)?, serve(1, true)?];
    let clients = [servers[0].client(), servers[1].client()];
    let ([alone, learning], asked) = by_turns(&clients, &model)?;
    Ok(vec![Figure {
        name: "store one message while learning / without".into(),
        value: learning / alone,
        unit: "x",
        target: Target::AtMost(1.1),
        detail: format!(
            "{learning:.2} and {alone:.2} ms over {STORES}; {asked} calls, {}",
            learned(&clients[1], asked)?
        ),
    }])
}

/// The median times of a store on each, in milliseconds, and how often the model was asked meanwhile.
fn by_turns(clients: &[Client; 2], model: &FakeLlm) -> Result<([f64; 2], u64)> {
    let mut warm = 0;
    while warm < WARM || model.calls().calls == 0 {
        ensure!(warm < NEVER_ASKED, "nothing is learned");
        clients.iter().try_for_each(|client| store(client, warm).map(drop))?;
        warm += 1;
    }
    let asked_before = model.calls().calls;
    let mut times = [Vec::new(), Vec::new()];
    for number in warm..warm + STORES {
        for (client, times) in clients.iter().zip(&mut times) {
            times.push(millis(store(client, number)?));
        }
    }
    Ok((times.map(median), model.calls().calls - asked_before))
}

/// What was learned, in words. Fails if nothing was, because then nothing was measured.
fn learned(client: &Client, asked: u64) -> Result<String> {
    let facts = client.get(&format!("/v1/memories/profile?group_id={GROUP}"))?;
    let facts = facts["facts"].as_array().context("facts are a list")?.len();
    let queue = client.get("/v1/memories/profile/queue")?;
    ensure!(asked > 0 && facts > 0 && queue["parked"] == 0, "{asked} calls, {facts} facts, {queue}");
    Ok(format!("{facts} facts, {} messages still wait", queue["waiting"]))
}

fn store(client: &Client, number: usize) -> Result<Duration> {
    Ok(client.post("/v1/memories", &request(number))?.1)
}

/// A message in which a person says something about themselves.
fn request(number: usize) -> Value {
    let (city, likes) = (CITIES[number % CITIES.len()], LIKES[number % LIKES.len()]);
    let text = format!("{} I live in {city} now. I like {likes}.", texts::message(number));
    let session = json!({"group_id": GROUP, "session_id": GROUP, "user_id": PEOPLE, "agent_id": []});
    json!({
        "session": session, "producer": PEOPLE[number % PEOPLE.len()], "produced_for": PEOPLE[0],
        "episode_content": text, "episode_type": "message", "metadata": {},
    })
}
