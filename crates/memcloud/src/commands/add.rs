use std::io::Read;

use memcloud_api::Object;
use memcloud_api::memmachine_v1::{Moment, NewEpisode};
use serde_json::Value;

use crate::client::connect;
use crate::commands::{Context, Place, metadata};
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// Store one message
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What was said; '-' reads it from stdin
    text: String,
    #[command(flatten)]
    place: Place,
    /// A person who takes part in the session; may be repeated
    #[arg(long, value_name = "NAME")]
    user: Vec<String>,
    /// A program that takes part in the session; may be repeated
    #[arg(long, value_name = "NAME")]
    agent: Vec<String>,
    /// Who said it (default: the first user, else the first agent, else 'user')
    #[arg(long, value_name = "NAME")]
    producer: Option<String>,
    /// Whom it was said to
    #[arg(long = "for", value_name = "NAME")]
    produced_for: Option<String>,
    /// When it happened, RFC 3339 (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<memcloud_domain::Timestamp>,
    /// Data of your own to keep with it; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = metadata)]
    metadata: Vec<(String, Value)>,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &args.client).await?;
    let answer = client.store(&episode(args)?).await?;
    context.output.answer(&answer, |output| {
        output.data(answer.id.to_string());
        output.say("stored");
    });
    Ok(Exit::Ok)
}

fn episode(mut args: Args) -> Result<NewEpisode, Failure> {
    let content = if args.text == "-" { from_stdin()? } else { args.text };
    let first = args.user.first().or(args.agent.first()).cloned();
    let producer = args.producer.or(first).unwrap_or_else(|| "user".into());
    // The producer and the recipient take part in the session.
    for name in [Some(&producer), args.produced_for.as_ref()].into_iter().flatten() {
        if !args.user.contains(name) && !args.agent.contains(name) {
            args.user.push(name.clone());
        }
    }
    Ok(NewEpisode {
        session: Some(args.place.session_of(args.user, args.agent)),
        producer,
        produced_for: args.produced_for.unwrap_or_default(),
        episode_content: content,
        metadata: Some(Object(args.metadata.into_iter().collect())),
        timestamp: args.at.map(Moment),
        ..NewEpisode::default()
    })
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| {
        Failure::new(format!("cannot read stdin: {error}"), "pipe UTF-8 text into the command")
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
