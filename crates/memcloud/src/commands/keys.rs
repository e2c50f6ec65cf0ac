use clap::Subcommand;
use jiff::{Span, Timestamp, tz::TimeZone};
use memcloud_api::native::{Key, NewKey};
use memcloud_domain::Right;

use crate::client::connect;
use crate::commands::{Context, day_and_time, report_done, show_list};
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// Create, list and revoke the API keys of an instance
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a key, and print it; it cannot be shown again
    Create(Create),
    /// List the keys without their secrets
    List {
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Revoke a key for good
    Revoke {
        /// The id that 'keys list' prints
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        client: ClientFlags,
    },
}

#[derive(clap::Args, Debug)]
struct Create {
    /// What the key is for
    name: String,
    /// What it permits: read, write or admin; may be repeated
    #[arg(long = "right", value_name = "RIGHT", required = true, value_parser = str::parse::<Right>)]
    rights: Vec<Right>,
    /// A group that it opens; may be repeated (default: all groups)
    #[arg(long = "space", value_name = "GROUP")]
    spaces: Vec<String>,
    /// When it ends: a time span such as 30d or 12h, or a date (default: never)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(new) => create(&new, context).await,
        Command::List { client } => list(&client, context).await,
        Command::Revoke { id, client } => revoke(&id, &client, context).await,
    }
}

async fn create(new: &Create, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &new.client).await?;
    let key = NewKey {
        name: new.name.clone(),
        rights: new.rights.iter().map(|right| right.as_str().into()).collect(),
        spaces: Some(new.spaces.clone()).filter(|spaces| !spaces.is_empty()),
        expires_at: new.expires.clone(),
    };
    let created = client.create_key(&key).await?;
    context.output.answer(&created, |output| {
        output.data(&created.key);
        output.say(format!("key {} created; it cannot be shown again", created.about.id));
    });
    Ok(Exit::Ok)
}

async fn list(flags: &ClientFlags, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, flags).await?;
    let listed = client.keys().await?;
    context.output.answer(&listed, |output| show_list(&listed.keys, line, "no keys", output));
    Ok(Exit::Ok)
}

/// A key as one line: id, state, rights, groups, last use, end, name.
pub(crate) fn line(key: &Key) -> String {
    let time = |time: &Option<String>| time.as_deref().map_or_else(|| "never".to_owned(), day_and_time);
    format!(
        "{}  {:<7}  {}  groups: {}  used: {}  ends: {}  {}",
        key.id,
        key.state,
        key.rights.join(","),
        key.spaces.as_ref().map_or_else(|| "all".to_owned(), |spaces| spaces.join(",")),
        time(&key.last_used_at),
        time(&key.expires_at),
        key.name,
    )
}

async fn revoke(id: &str, flags: &ClientFlags, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, flags).await?;
    let revoked = client
        .revoke_key(id)
        .await
        .map_err(|error| Failure::listing(error, "'memcloud keys list' lists the keys"))?;
    Ok(report_done(&revoked, &format!("key {} ({}) revoked", revoked.id, revoked.name), context))
}

/// The moment that a span from now on or a date names, in RFC 3339.
#[expect(clippy::disallowed_methods, reason = "a span on the command line begins now")]
pub(crate) fn moment(when: &str) -> Result<String, String> {
    if let Ok(moment) = when.parse::<memcloud_domain::Timestamp>() {
        return Ok(moment.to_string());
    }
    let span: Span =
        when.parse().map_err(|_| "write a time span such as 30d, or a date such as 2030-01-31")?;
    if !span.is_positive() {
        return Err("the time span must be positive".to_owned());
    }
    // A day of a span is a day of the calendar, so it needs a time zone to be added.
    let end = Timestamp::now().to_zoned_datetime(TimeZone::UTC).checked_add(span);
    end.map(|end| end.timestamp().to_string()).map_err(|_| "the time span is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a span on the command line begins now")]
    fn a_moment_is_a_time_span_or_a_date() {
        let seconds = |when: &str| {
            let end: Timestamp = moment(when).unwrap().parse().unwrap();
            end.duration_since(Timestamp::now()).as_secs()
        };
        for (span, expected) in [("30d", 30 * 86_400), ("12h", 43_200), ("90m", 5_400)] {
            assert!((expected - 5..=expected).contains(&seconds(span)), "{span}: {}", seconds(span));
        }
        assert_eq!(moment("2030-01-31").unwrap(), "2030-01-31T00:00:00Z");
        for wrong in ["", "soon", "-3d", "30", "0d", "99999999y"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
