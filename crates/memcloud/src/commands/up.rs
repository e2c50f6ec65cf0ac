use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use memcloud_client::Client;
use memcloud_control::{Instance, State, Topology};
use memcloud_instance::Embedding;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::commands::Context;
use crate::console::{
    Begun, Console, ConsoleFolder, FirstInstance, embedding_model, settings_of_first, url_of,
};
use crate::current_instance::Current;
use crate::failure::{Exit, Failure};
use crate::kept_access::KeptAccess;
use crate::listen::listen;
use crate::output::Line;
use crate::settings::{
    DataFlags, InstanceSettings, ListenAddress, console_address, inherited, instance_address,
};
use crate::signals::stop_signal;
use crate::{api_keys, logging, permissions};

/// Start a console with a first memory on this machine, and print how to use them
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the console listens (`MEMCLOUD_CONSOLE_LISTEN`, not `PORT`; default: 127.0.0.1:8090)
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where the first instance listens (`MEMCLOUD_INSTANCE_LISTEN`, not `PORT`; default: 127.0.0.1:8080)
    #[arg(long, value_name = "HOST:PORT")]
    instance_listen: Option<String>,
    #[command(flatten)]
    data: DataFlags,
}

/// What the settings say about the console and its first instance.
struct Wanted {
    console: ListenAddress,
    instance: ListenAddress,
    /// The data directory, as an absolute path.
    data_dir: PathBuf,
    settings: InstanceSettings,
}

/// How often the state of a first instance is read that does not run yet.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is running, and how to use it.
struct Running {
    console: String,
    sign_in: String,
    token: String,
    /// The id of the first instance, and its address.
    id: String,
    url: String,
    key: String,
    /// Whether its callers need a key.
    locked: bool,
    /// What the first instance keeps its memory in, embeds with and chats with.
    kept_in: String,
    model: String,
    chats: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    logging::start(&context.sources, None, "warn", None)?;
    let wanted = Wanted::of(&args, context)?;
    // A console that runs there is reported before its addresses are found to be taken.
    let is_known = ConsoleFolder::of(&wanted.data_dir).exists();
    let folder = if is_known { Some(ConsoleFolder::take(&wanted.data_dir).await?) } else { None };
    let listener = listen(&wanted.console).await?;
    let free = if is_known { None } else { Some(free_address(&wanted.instance).await?) };
    let folder = match folder {
        Some(folder) => folder,
        None => ConsoleFolder::take(&wanted.data_dir).await?,
    };
    let mut stop = std::pin::pin!(stop_signal()?);
    let model = match &wanted.settings.config.embedding {
        Embedding::Local(model) => embedding_model(model, context.output).await?,
        Embedding::Remote(_) | Embedding::None => DataFlags::default(),
    };
    let environment = inherited(&context.sources, &model)?;
    let console = Console::open(folder, &context.sources, environment, url_of(&listener)?).await?;
    let running = async {
        console.serve(listener)?;
        console.resume().await?;
        let begun = begin(&console, &wanted, free, context).await?;
        let access = console.access().await?;
        keep(&access, &begun, context);
        let instance = running(&console, &begun, context).await?;
        Running::of(instance, begun, access, &console, &wanted, &model).await
    };
    let running = tokio::select! {
        running = running => Some(running),
        () = &mut stop => None,
    };
    let ended = match running {
        Some(Ok(running)) => {
            let current = Current { url: running.url.clone() };
            warn_unkept(current.write(), &format!("--url {}", running.url), context);
            context
                .output
                .answer(&facts(&running), |output| output.data(Line::default().lines(welcome(&running))));
            stop.await;
            current.leave();
            Ok(())
        }
        Some(Err(failure)) => Err(failure),
        None => Ok(()),
    };
    let stopped = console.stop().await;
    ended.and(stopped).map(|()| Exit::Ok)
}

impl Wanted {
    fn of(args: &Args, context: &Context) -> Result<Self, Failure> {
        let settings = InstanceSettings::resolve(&context.sources, &args.data)?;
        settings.warn(context.output);
        let data_dir = &settings.config.data_dir;
        permissions::warn(data_dir, context.sources.secret_files()?);
        // Said now what the instance would say later.
        api_keys::accepted(&settings.keys, None, data_dir)?;
        Ok(Self {
            console: console_address(&context.sources, args.listen.as_deref()),
            instance: instance_address(&context.sources, args.instance_listen.as_deref()),
            // Instances have other working directories.
            data_dir: std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone()),
            settings,
        })
    }
}

/// An address that a program can listen on now. An instance takes it a moment later.
async fn free_address(address: &ListenAddress) -> Result<SocketAddr, Failure> {
    let free = listen(address).await?;
    free.local_addr().map_err(|error| {
        Failure::new(format!("cannot listen on {}: {error}", address.text), "choose another address")
    })
}

/// Begins to start the first instance, or goes on with the one that runs.
async fn begin(
    console: &Console,
    wanted: &Wanted,
    free: Option<SocketAddr>,
    context: &Context,
) -> Result<Begun, Failure> {
    let listen = match (free, console.address_of_first().await?) {
        (Some(free), _) => free,
        (None, Some(own)) if means(&wanted.instance, own)? => own,
        (None, _) => free_address(&wanted.instance).await?,
    };
    let keyless = listen.ip().to_canonical().is_loopback();
    let settings = settings_of_first(&context.sources, &wanted.settings, keyless)?;
    let first = FirstInstance { settings, data_dir: wanted.data_dir.clone(), listen };
    let begun = console.begin_first(first).await?;
    console.watch();
    Ok(begun)
}

/// Waits until the first instance runs. What keeps it from running is said once; the console tries again by itself.
async fn running(console: &Console, begun: &Begun, context: &Context) -> Result<Instance, Failure> {
    if let Some(operation) = &begun.operation {
        console.ended(&operation.id).await?;
    }
    let mut is_said = false;
    loop {
        // One that was removed never runs; the console goes on without it.
        let Some(instance) = console.instance(&begun.instance.id).await? else {
            return std::future::pending().await;
        };
        if instance.state == State::Running && instance.url.is_some() {
            return Ok(instance);
        }
        if let Some(reason) = instance.reason.filter(|_| !std::mem::replace(&mut is_said, true)) {
            let message = format!("the first instance does not run yet: {}", reason.message);
            context.output.warn(&message, &reason.hint);
            context.output.say(format!(
                "the console runs at {} and tries again; 'memcloud instances show {name}' says how it is, \
                 'memcloud instances start {name}' tries at once",
                console.url(),
                name = instance.name
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Running {
    async fn of(
        instance: Instance,
        begun: Begun,
        access: KeptAccess,
        console: &Console,
        wanted: &Wanted,
        model: &DataFlags,
    ) -> Result<Self, Failure> {
        let url = instance.url.unwrap_or_default();
        let keyless = Client::new(&url, None)?.ready().await;
        Ok(Self {
            console: access.url,
            sign_in: console.sign_in_link().await?,
            token: access.token,
            id: instance.id.to_string(),
            locked: keyless.is_err_and(|error| error.refusal().is_some_and(|refusal| refusal.status == 401)),
            url,
            key: begun.key.expose_secret().to_owned(),
            kept_in: match instance.topology {
                Topology::Embedded => wanted.data_dir.display().to_string(),
                topology => format!("{topology}, with what is local in {}", wanted.data_dir.display()),
            },
            model: embeds_with(&wanted.settings.config.embedding, model),
            chats: wanted.settings.config.llm.as_ref().map(memcloud_instance::Llm::summary),
        })
    }
}

/// Whether an address to listen on means this one.
fn means(address: &ListenAddress, own: SocketAddr) -> Result<bool, Failure> {
    Ok(address
        .resolved()?
        .iter()
        .any(|any| any.ip() == own.ip() && (any.port() == own.port() || any.port() == 0)))
}

fn embeds_with(embedding: &Embedding, local: &DataFlags) -> String {
    match (embedding, &local.model_dir) {
        (Embedding::Remote(remote), _) => format!("{}, at {}", remote.model, remote.endpoint.address()),
        (_, Some(dir)) => format!("all-MiniLM-L6-v2, from {}", dir.display()),
        (_, None) => "none: search uses words only".to_owned(),
    }
}

/// Keeps for this user how to reach the console and its first instance.
fn keep(access: &KeptAccess, begun: &Begun, context: &Context) {
    let mut access = access.clone();
    access.keys.insert(begun.instance.id.to_string(), begun.key.expose_secret().to_owned());
    warn_unkept(access.write(), &format!("--console {}", access.url), context);
}

/// Warns of what other commands cannot find by themselves. `flag` names it to them.
fn warn_unkept(kept: Result<(), Failure>, flag: &str, context: &Context) {
    if let Err(failure) = kept {
        let hint = format!("{}; until then, name it to other commands with {flag}", failure.hint);
        context.output.warn(&failure.message, &hint);
    }
}

fn facts(running: &Running) -> Value {
    json!({
        "console": running.console,
        "sign_in": running.sign_in,
        "api_token": running.token,
        "instance": {"id": running.id, "url": running.url, "key": running.key},
    })
}

/// What is running, and how to use it.
fn welcome(running: &Running) -> String {
    let Running { console, sign_in, url, key, kept_in, model, .. } = running;
    let none = "with no language model: set OPENAI_API_KEY, or OPENAI_BASE_URL and MEMCLOUD_CHAT_MODEL";
    let chats = running.chats.as_deref().unwrap_or(none);
    let needed = if running.locked { "" } else { "; programs of this machine need none" };
    let header = if running.locked { format!(" -H 'Authorization: Bearer {key}'") } else { String::new() };
    let python_header =
        if running.locked { format!(", \"Authorization\": \"Bearer {key}\"") } else { String::new() };
    format!(
        r#"The memory is ready.

  console   {console}
  sign in   {sign_in}
            it works once
  memory    {url}
  key       {key}{needed}
  kept in   {kept_in}
  model     {model}
  chats     {chats}

Store and find:

  curl -s {url}/v1/memories -H 'Content-Type: application/json'{header} -d '{STORE}'
  curl -s {url}/v1/memories/search -H 'Content-Type: application/json'{header} -d '{SEARCH}'

From Python:

  import json, urllib.request
  def memory(path, body):
      headers = {{"Content-Type": "application/json"{python_header}}}
      request = urllib.request.Request("{url}/v1/memories" + path, json.dumps(body).encode(), headers)
      return json.load(urllib.request.urlopen(request))
  print(memory("/search", {SEARCH}))

From the shell:

  memcloud add 'I moved to Lisbon in May' --user ann
  memcloud search 'Where does Ann live?'
  memcloud instances list

Ctrl-C stops all of it; what is stored stays."#,
    )
}

const STORE: &str = r#"{"session": {"group_id": "default", "session_id": "default", "user_id": ["ann"], "agent_id": []}, "producer": "ann", "produced_for": "", "episode_content": "I moved to Lisbon in May", "episode_type": "message", "metadata": {}}"#;
const SEARCH: &str = r#"{"session": {"group_id": "default", "session_id": "default", "user_id": ["ann"], "agent_id": []}, "query": "Where does Ann live?", "limit": 5}"#;
