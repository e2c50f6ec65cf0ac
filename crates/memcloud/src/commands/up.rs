use std::time::Duration;

use memcloud_client::Client;
use memcloud_instance::{Config, Instance};
use memcloud_server::{ApiKeys, require_key_beyond_loopback};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::commands::Context;
use crate::current_instance::Current;
use crate::failure::{Exit, Failure};
use crate::listen::listen;
use crate::settings::{DataFlags, InstanceSettings, ListenAddress, up_address};
use crate::signals::stop_signal;
use crate::{api_keys, logging, opening, permissions};

/// How often a fresh instance is asked whether it is ready, and how long.
const ASK_EVERY: Duration = Duration::from_millis(20);
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Start a memory on this machine, and print how to use it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the instance listens (`MEMCLOUD_INSTANCE_LISTEN`, not `PORT`; default: 127.0.0.1:8080)
    #[arg(long, value_name = "HOST:PORT")]
    instance_listen: Option<String>,
    #[command(flatten)]
    data: DataFlags,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    logging::start(&context.sources, None, "warn")?;
    let address = up_address(&context.sources, args.instance_listen.as_deref());
    let mut settings = InstanceSettings::resolve(&context.sources, &args.data)?;
    settings.warn(context.output);
    permissions::warn(&settings.config.data_dir, context.sources.secret_files()?);
    let listener = listen(&address).await?;
    let (keys, fresh) = keys(&settings, &address)?;
    let locked = !keys.is_empty();
    settings.config.keys = keys;
    let instance = opening::open(&settings.config, listener, &address, context.output).await?;
    let current = Current { url: instance.url() };
    let facts = facts(&instance, &settings.config, fresh.as_ref());
    let client = Client::new(&current.url, fresh.or_else(|| settings.keys.first().cloned()))?;
    let mut serving = Box::pin(instance.serve(stop_signal()?));
    tokio::select! {
        served = &mut serving => return ended(served),
        ready = ready(&client) => ready?,
    }
    if let Err(failure) = current.write() {
        let hint =
            format!("{}; until then, name it to other commands with --url {}", failure.hint, current.url);
        context.output.warn(&failure.message, &hint);
    }
    context.output.answer(&facts, |output| output.data(welcome(&facts, locked)));
    let served = serving.await;
    current.leave();
    ended(served)
}

/// How the command ends when its server has.
fn ended(served: Result<(), memcloud_instance::Error>) -> Result<Exit, Failure> {
    Ok(served.map(|()| Exit::Ok)?)
}

/// The keys, and the one that was made just now because the instance can be reached from other machines.
fn keys(
    settings: &InstanceSettings,
    address: &ListenAddress,
) -> Result<(ApiKeys, Option<SecretString>), Failure> {
    let data_dir = &settings.config.data_dir;
    let keys = api_keys::accepted(&settings.keys, data_dir)?;
    let exposed = address.resolved()?.iter().any(|a| require_key_beyond_loopback(a.ip(), &keys).is_err());
    if !exposed {
        return Ok((keys, None));
    }
    let fresh = api_keys::make(data_dir)?;
    Ok((api_keys::accepted(&settings.keys, data_dir)?, Some(fresh)))
}

fn facts(instance: &Instance, config: &Config, fresh: Option<&SecretString>) -> Value {
    let model = instance.embedder.as_ref();
    let mut facts = json!({
        "url": instance.url(),
        "data_dir": config.data_dir,
        "kept_in": instance.kept_in,
        "memories": instance.counts.map(|counts| counts.episodes),
        "language_model": instance.llm,
        "model": model.map(|model| json!({"space": model.space, "place": model.place, "kernel": model.kernel})),
    });
    if let Some(key) = fresh {
        facts["key"] = key.expose_secret().into();
    }
    facts
}

/// Waits until the instance says itself that it is ready.
async fn ready(client: &Client) -> Result<(), Failure> {
    let asking = async {
        // Of a key made by an earlier run only the hash is known: then its refusal shows that it serves.
        while let Err(error) = client.ready().await {
            if error.refusal().is_some_and(|refusal| refusal.status == 401) {
                break;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    tokio::time::timeout(READY_WITHIN, asking).await.map_err(|_| {
        Failure::new(
            "the instance started but did not become ready",
            "run 'memcloud doctor' while it runs, or read its log",
        )
    })
}

/// What is running, and how to use it.
fn welcome(facts: &Value, locked: bool) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let url = text(&facts["url"]);
    let model = match &facts["model"] {
        Value::Null => "none: search uses words only".to_owned(),
        model => match model["kernel"].as_str() {
            Some(kernel) => {
                format!("{}, computing with {kernel}, from {}", text(&model["space"]), text(&model["place"]))
            }
            None => format!("{}, at {}", text(&model["space"]), text(&model["place"])),
        },
    };
    let none = "with no language model: set OPENAI_API_KEY, or OPENAI_BASE_URL and MEMCLOUD_CHAT_MODEL";
    let chats = facts["language_model"].as_str().unwrap_or(none);
    let key = facts["key"].as_str();
    let shown_once = key
        .map(|key| format!("\n  key       {key}\n            shown this once; only its hash is kept"))
        .unwrap_or_default();
    let key = key.unwrap_or("$MEMCLOUD_API_KEY");
    let header = if locked {
        format!(" -H 'Authorization: Bearer {key}'").replace(
            "'Authorization: Bearer $MEMCLOUD_API_KEY'",
            "\"Authorization: Bearer $MEMCLOUD_API_KEY\"",
        )
    } else {
        String::new()
    };
    let python_header = if locked { format!(", \"Authorization\": \"Bearer {key}\"") } else { String::new() };
    format!(
        r#"The memory is ready.

  address   {url}
  kept in   {data}
  model     {model}
  chats     {chats}
  memories  {memories}{shown_once}

Store and find:

  curl -s {url}/v1/memories -H 'Content-Type: application/json'{header} -d '{store}'
  curl -s {url}/v1/memories/search -H 'Content-Type: application/json'{header} -d '{search}'

From Python:

  import json, urllib.request
  def memory(path, body):
      headers = {{"Content-Type": "application/json"{python_header}}}
      request = urllib.request.Request("{url}/v1/memories" + path, json.dumps(body).encode(), headers)
      return json.load(urllib.request.urlopen(request))
  print(memory("/search", {search}))

From the shell:

  memcloud add 'I moved to Lisbon in May' --user ann
  memcloud search 'Where does Ann live?'
  memcloud chat --user ann

Ctrl-C stops it; what is stored stays."#,
        data = text(&facts["kept_in"]),
        memories = facts["memories"],
        store = STORE,
        search = SEARCH,
    )
}

const STORE: &str = r#"{"session": {"group_id": "default", "session_id": "default", "user_id": ["ann"], "agent_id": []}, "producer": "ann", "produced_for": "", "episode_content": "I moved to Lisbon in May", "episode_type": "message", "metadata": {}}"#;
const SEARCH: &str = r#"{"session": {"group_id": "default", "session_id": "default", "user_id": ["ann"], "agent_id": []}, "query": "Where does Ann live?", "limit": 5}"#;
