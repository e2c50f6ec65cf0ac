use memcloud_api::memmachine_v1::{Hit, SearchQuery};
use memcloud_api::{Integer, Nullable, Object};
use serde_json::{Map, Value};

use crate::client::connect;
use crate::commands::{Context, Place, day_and_time, metadata, warn_unless_ready};
use crate::failure::{Exit, Failure};
use crate::output::{Line, Output};
use crate::settings::ClientFlags;

/// Find messages of a group, best first
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What to look for
    question: String,
    #[command(flatten)]
    place: Place,
    /// The most results
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    limit: u32,
    /// Only messages with this value: `producer_id`, `produced_for_id`, `session_id`, `episode_type` or `metadata.<key>`;
    /// may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = metadata)]
    filter: Vec<(String, Value)>,
    /// Say why each result is there
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &args.client).await?;
    let explain = args.explain;
    let hits = client.search(&query(args)).await?;
    context.output.answer(&hits, |output| hits.iter().for_each(|hit| show(hit, explain, output)));
    if hits.is_empty() {
        context.output.say("nothing was found");
        warn_unless_ready(&client, context.output).await;
        return Ok(Exit::Nothing);
    }
    Ok(Exit::Ok)
}

fn query(args: Args) -> SearchQuery {
    let mut filter: Map<String, Value> = args.filter.into_iter().collect();
    // A search covers a whole group; a session narrows it.
    if let Some(session) = &args.place.session {
        filter.insert("session_id".into(), session.clone().into());
    }
    SearchQuery {
        session: Some(args.place.session_of(vec![], vec![])),
        query: args.question,
        limit: Some(Integer(args.limit.into())),
        explain: Some(args.explain),
        filter: if filter.is_empty() { Nullable::Absent } else { Nullable::Value(Object(filter)) },
        ..SearchQuery::default()
    }
}

fn show(hit: &Hit, explain: bool, output: Output) {
    let Hit { episode, score, explain: explanation } = hit;
    // A score says how much better a result is than the usual candidate. Where all are alike, such as the only message of a
    // group, it is 0, which would read as worthless.
    let score = score.filter(|score| *score != 0.0).map_or_else(String::new, |score| format!("{score:.3}"));
    let line = Line::from(format!("{score:>6}  ")).dim(day_and_time(&episode.timestamp));
    output.data(line.plain(format!("  {}: ", episode.producer_id)).said(&episode.content));
    let explanation = explanation.as_ref().filter(|_| explain).map(serde_json::to_value);
    if let Some(Ok(Value::Object(parts))) = explanation {
        let parts: Vec<String> = parts.iter().filter_map(|(name, value)| part(name, value)).collect();
        output.data(Line::default().dim(format!("        {}", parts.join(", "))));
    }
}

/// One part of a score; nothing for a part that adds nothing.
fn part(name: &str, value: &Value) -> Option<String> {
    let name = name.replace('_', " ");
    match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            (number.abs() >= 0.0005).then(|| format!("{name} {number:.3}"))
        }
        Value::Array(items) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            (!items.is_empty()).then(|| format!("{name} {}", items.join(" ")))
        }
        Value::String(text) => Some(format!("{name} {text}")),
        Value::Null | Value::Bool(false) => None,
        other => Some(format!("{name} {other}")),
    }
}
