use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::{Context, Place, day_and_time};
use crate::failure::{Exit, Failure};
use crate::output::dim;
use crate::settings::ClientFlags;

/// The most messages that one request asks for.
const PAGE: usize = 500;

/// List the messages of a group, oldest first
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The most messages
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
    /// All messages
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = Client::new(&context.sources, &args.client)?;
    let limit = if args.all { usize::MAX } else { args.limit };
    let mut listed = Vec::new();
    let mut cursor = None;
    let mut count = 0;
    loop {
        let (episodes, next) =
            page(&client, &args.place, cursor.as_deref(), (limit - count).min(PAGE)).await?;
        count += episodes.len();
        if context.output.json {
            listed.extend(episodes);
        } else {
            for episode in &episodes {
                show(episode, context);
            }
        }
        cursor = next;
        if cursor.is_none() || count >= limit {
            break;
        }
    }
    if context.output.json {
        context.output.value(&json!({"episodes": listed, "next_cursor": cursor}));
    } else if count == 0 {
        context.output.say("nothing is stored there");
    } else if cursor.is_some() {
        context.output.say(format!("the first {count}; --all lists all of them"));
    }
    Ok(Exit::Ok)
}

/// One page and where the next one begins.
async fn page(
    client: &Client,
    place: &Place,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<Value>, Option<String>), Failure> {
    let limit = limit.to_string();
    let mut query = vec![("group_id", place.group()), ("limit", limit.as_str())];
    query.extend(place.session.as_deref().map(|session| ("session_id", session)));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    let mut answer = client.get(&["v1", "memories"], &query).await?;
    let next = answer["next_cursor"].as_str().map(str::to_owned);
    let episodes = match answer["episodes"].take() {
        Value::Array(episodes) => episodes,
        _ => Vec::new(),
    };
    Ok((episodes, next))
}

fn show(episode: &Value, context: &Context) {
    let text = |key: &str| episode[key].as_str().unwrap_or_default();
    let place = dim(&format!("{}  {}", text("uuid"), day_and_time(text("timestamp"))));
    context.output.data(format!("{place}  {}: {}", text("producer_id"), text("content")));
}
