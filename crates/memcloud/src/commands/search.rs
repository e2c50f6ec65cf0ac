use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::commands::{Context, Place, day_and_time, metadata};
use crate::failure::{Exit, Failure};
use crate::output::{dim, harmless};
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
    let client = Client::new(&context.sources, &args.client)?;
    let explain = args.explain;
    let answer = client.post(&["v1", "memories", "search"], &[("shape", "list")], &body(args)).await?;
    let hits = answer.as_array().cloned().unwrap_or_default();
    if context.output.json {
        context.output.value(&answer);
    } else {
        for hit in &hits {
            show(hit, explain, context);
        }
    }
    if hits.is_empty() {
        context.output.say("nothing was found");
        return Ok(Exit::Nothing);
    }
    Ok(Exit::Ok)
}

fn body(args: Args) -> Value {
    let mut filter: Map<String, Value> = args.filter.into_iter().collect();
    // A search covers a whole group; a session narrows it.
    if let Some(session) = &args.place.session {
        filter.insert("session_id".into(), session.clone().into());
    }
    let mut body = json!({
        "session": {
            "group_id": args.place.group(),
            "session_id": args.place.session(),
            "user_id": [],
            "agent_id": [],
        },
        "query": args.question,
        "limit": args.limit,
        "explain": args.explain,
    });
    if !filter.is_empty() {
        body["filter"] = filter.into();
    }
    body
}

fn show(hit: &Value, explain: bool, context: &Context) {
    let said = harmless(&format!("{}: {}", text(hit, "producer_id"), text(hit, "content")));
    let score = hit["score"].as_f64().unwrap_or_default();
    context.output.data(format!("{score:6.3}  {}  {said}", dim(&day_and_time(text(hit, "timestamp")))));
    if explain && let Some(parts) = hit["explain"].as_object() {
        let parts: Vec<String> = parts.iter().filter_map(|(name, value)| part(name, value)).collect();
        context.output.data(dim(&format!("        {}", parts.join(", "))));
    }
}

fn text<'a>(hit: &'a Value, key: &str) -> &'a str {
    hit[key].as_str().unwrap_or_default()
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
