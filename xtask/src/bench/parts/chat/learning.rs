//! Stores on a server that learns facts from them, alternating with stores on a server that learns nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use memcloud_api::memmachine_v1::{NewEpisode, Session};
use memcloud_client::{Client, FactQuery};
use memcloud_fake_llm::{FakeLlm, Options};

use super::{model, settings};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median, millis};
use crate::bench::parts::{GROUP, session};
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
    let model = model(bench, Options { latency: Duration::from_millis(300), ..Options::default() })?;
    let data = [tempfile::tempdir()?, tempfile::tempdir()?];
    let serve = |at: usize, learns: bool| {
        let mut settings = settings(&model.url());
        settings.push(("MEMCLOUD_PROFILE", learns.to_string()));
        settings.push(("MEMCLOUD_PROFILE_MESSAGES", "5".into()));
        Server::start_on(bench, data[at].path(), &settings)
    };
    let servers = [serve(0, false)?, serve(1, true)?];
    let clients = [servers[0].client()?, servers[1].client()?];
    let ([alone, learning], asked) = by_turns(bench, &clients, &model)?;
    Ok(vec![Figure {
        name: "store one message while learning / without".into(),
        value: learning / alone,
        unit: "x",
        target: Target::AtMost(1.1),
        detail: format!(
            "{learning:.2} and {alone:.2} ms over {STORES}; {asked} calls, {}",
            bench.wait(learned(&clients[1], asked))?
        ),
    }])
}

/// The median times of a store on each, in milliseconds, and how often the model was asked meanwhile.
fn by_turns(bench: &Bench, clients: &[Client; 2], model: &FakeLlm) -> Result<([f64; 2], u64)> {
    let mut warm = 0;
    while warm < WARM || model.calls().calls == 0 {
        ensure!(warm < NEVER_ASKED, "nothing is learned");
        for client in clients {
            bench.wait(client.store(&message(warm)))?;
        }
        warm += 1;
    }
    let asked_before = model.calls().calls;
    let mut times = [Vec::new(), Vec::new()];
    for number in warm..warm + STORES {
        for (client, times) in clients.iter().zip(&mut times) {
            times.push(millis(bench.timed(client.store(&message(number)))?.1));
        }
    }
    Ok((times.map(median), model.calls().calls - asked_before))
}

/// What was learned, in words. Fails if nothing was, because then nothing was measured.
async fn learned(client: &Client, asked: u64) -> Result<String> {
    let facts =
        client.facts(&FactQuery { group_id: GROUP.into(), ..FactQuery::default() }).await?.facts.len();
    let queue = client.profile_queue(None).await?;
    ensure!(asked > 0 && facts > 0 && queue.parked == 0, "{asked} calls, {facts} facts, {queue:?}");
    Ok(format!("{facts} facts, {} messages still wait", queue.waiting))
}

/// A message in which a person says something about themselves.
fn message(number: usize) -> NewEpisode {
    let (city, likes) = (CITIES[number % CITIES.len()], LIKES[number % LIKES.len()]);
    NewEpisode {
        session: Some(Session { user_id: Some(PEOPLE.map(str::to_owned).to_vec()), ..session() }),
        producer: PEOPLE[number % PEOPLE.len()].into(),
        produced_for: PEOPLE[0].into(),
        episode_content: format!("{} I live in {city} now. I like {likes}.", texts::message(number)),
        ..NewEpisode::default()
    }
}
