//! 2,000 connections without a key, of every kind. The attackers' threads have the lowest priority, so that they take the
//! processors from no one: on a network they would be on other machines.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use memcloud_test_servers::{Attack, Strangers};
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use tokio::runtime::Builder;

use super::others::{KEY, Waited, ask, request, share};
use crate::bench::Bench;
use crate::bench::figures::{Figure, Target, median};
use crate::bench::server::Server;
use crate::steps::say;

const ATTACKERS: u32 = 2_000;
/// How often others ask in each round, without the attackers and beside them by turns.
const REQUESTS: usize = 200;
const ROUNDS: usize = 3;
/// Attackers are at work for so long before others are watched, and gone for so long.
const BEGINS: Duration = Duration::from_millis(500);

pub(in crate::bench) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let kinds: Vec<_> = Attack::ALL
        .into_iter()
        .flat_map(|(name, attack)| {
            [(name.to_owned(), attack, false), (format!("{name} and come back at once"), attack, true)]
        })
        .filter(|(name, ..)| bench.wants(name))
        .collect();
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum })?;
    let attackers_at = Builder::new_multi_thread()
        .worker_threads(1)
        // Without the right to be nicer they take more from others, so the figures are worse, not better.
        .on_thread_start(|| _ = nice(19))
        .enable_all()
        .build()?;
    let data = tempfile::tempdir()?;
    let keys = [("MEMCLOUD_API_KEYS", KEY.to_owned())];
    let server = Server::start_on(bench, data.path(), &keys)?;
    let calls = [request("GET", "/v1/memories?group_id=bench", "")];
    let asks = || ask(server.address, &calls, |round| round < REQUESTS);
    asks()?;
    // What starting took is not theirs.
    server.forget_peak()?;
    let before = server.peak_resident_bytes()?;
    let (mut probes, mut of_calls, mut slowest, mut idle_slowest) =
        (Vec::new(), Vec::new(), Vec::new(), 0_f64);
    for (name, attack, come_back) in kinds {
        let (mut ratios, mut all, mut idle_all) =
            ([const { Vec::new() }; 2], Waited::default(), Waited::default());
        for _ in 0..ROUNDS {
            let idle = asks()?;
            let strangers = Strangers::begin(&attackers_at, ATTACKERS, server.address, attack, come_back);
            sleep(BEGINS);
            let beside = asks().with_context(|| format!("strangers that {name}"))?;
            attackers_at.block_on(strangers.end());
            sleep(BEGINS);
            ratios[0].push(share(&beside.probes, 0.95) / share(&idle.probes, 0.95));
            ratios[1].push(share(&beside.calls, 0.95) / share(&idle.calls, 0.95));
            all.add(beside);
            idle_all.add(idle);
        }
        let [of_probe, of_call] = ratios.map(median);
        say(&format!(
            "they {name}: probes {of_probe:.2} x ({:.2} and {:.2} ms p95, {:.1} and {:.1} ms at most), \
             calls {of_call:.2} x ({:.2} and {:.2} ms p95), {:.1} MiB more so far",
            share(&all.probes, 0.95),
            share(&idle_all.probes, 0.95),
            most(&all.probes),
            most(&idle_all.probes),
            share(&all.calls, 0.95),
            share(&idle_all.calls, 0.95),
            (server.peak_resident_bytes()? - before) / f64::from(1 << 20),
        ));
        probes.push(of_probe);
        of_calls.push(of_call);
        slowest.push(most(&all.probes));
        idle_slowest = idle_slowest.max(most(&idle_all.probes));
    }
    let more = server.peak_resident_bytes()? - before;
    let figure = |name: &str, value, unit, target, detail: String| Figure {
        name: name.to_owned(),
        value,
        unit,
        target: Target::AtMost(target),
        detail,
    };
    let kinds = format!("the worst of {} kinds, each the middle of {ROUNDS} rounds", probes.len());
    Ok(vec![
        figure("2,000 strangers: p95 of liveness, relative to idle", most(&probes), "x", 3.0, kinds.clone()),
        figure("2,000 strangers: p95 of calls, relative to idle", most(&of_calls), "x", 3.0, kinds),
        figure(
            "2,000 strangers: slowest answer of liveness",
            most(&slowest),
            "ms",
            100.0,
            format!("without them {idle_slowest:.1} ms"),
        ),
        figure("2,000 strangers: additional memory", more / f64::from(1 << 20), "MiB", 64.0, String::new()),
    ])
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
