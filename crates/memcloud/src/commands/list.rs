use memcloud_api::native::{ListedEpisode, Page};
use memcloud_client::ListQuery;

use crate::client::connect;
use crate::commands::{Context, Place, day_and_time, warn_unless_ready};
use crate::failure::{Exit, Failure};
use crate::output::Line;
use crate::settings::ClientFlags;

/// The most messages in one request.
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
    let client = connect(&context.sources, &args.client).await?;
    let limit = if args.all { usize::MAX } else { args.limit };
    let mut listed = Vec::new();
    let mut cursor = None;
    let mut count = 0;
    loop {
        let query = ListQuery {
            group_id: args.place.group().to_owned(),
            session_id: args.place.session.clone(),
            limit: (limit - count).min(PAGE),
            cursor,
        };
        let Page { episodes, next_cursor } = client.list(&query).await?;
        count += episodes.len();
        if context.output.json {
            listed.extend(episodes);
        } else {
            for episode in &episodes {
                show(episode, context);
            }
        }
        cursor = next_cursor;
        if cursor.is_none() || count >= limit {
            break;
        }
    }
    if context.output.json {
        context.output.value(&Page { episodes: listed, next_cursor: cursor });
    } else if count == 0 {
        context.output.say("nothing is stored there");
        warn_unless_ready(&client, context.output).await;
    } else if cursor.is_some() {
        context.output.say(format!("the first {count}; --all lists all of them"));
    }
    Ok(Exit::Ok)
}

fn show(listed: &ListedEpisode, context: &Context) {
    let episode = &listed.episode;
    let place = Line::default().dim(format!("{}  {}", episode.uuid, day_and_time(&episode.timestamp)));
    context.output.data(place.plain(format!("  {}: ", episode.producer_id)).said(&episode.content));
}
