//! The console that a command talks to, and its instances by their names.

use memcloud_api::console::{Instance, Instances};
use memcloud_client::{Console, Error, InstancesQuery};

use crate::commands::all_pages;
use crate::failure::{Exit, Failure};
use crate::kept_access::KeptAccess;
use crate::settings::{CONSOLE_URL, ConsoleFlags, Sources, TOKEN};

const DEFAULT_URL: &str = "http://127.0.0.1:8090";

/// A client for the console that the flags, the settings or `up` name, or for the usual address. The token that `up` keeps
/// is sent to its own console alone.
pub(crate) fn connect_to_console(sources: &Sources, flags: &ConsoleFlags) -> Result<Console, Failure> {
    let kept = KeptAccess::read();
    let named = sources.text(&CONSOLE_URL, flags.console.as_deref());
    let url = named.or_else(|| kept.as_ref().map(|kept| kept.url.clone()));
    let url = url.unwrap_or_else(|| DEFAULT_URL.into());
    let kept = kept.filter(|kept| kept.url == url.trim_end_matches('/'));
    let token = sources.secret(&TOKEN, None)?.or_else(|| kept.map(|kept| kept.token.into()));
    Ok(Console::new(&url, token)?)
}

/// Whether the flags or the settings name a console.
pub(crate) fn names_console(sources: &Sources, flags: &ConsoleFlags) -> bool {
    sources.text(&CONSOLE_URL, flags.console.as_deref()).is_some()
}

/// The instance of this name.
pub(crate) async fn instance_named(console: &Console, name: &str) -> Result<Instance, Failure> {
    let query = InstancesQuery { name: Some(name.to_owned()), ..InstancesQuery::default() };
    let found = console.instances(&query).await?.instances.into_iter().find(|found| found.name == name);
    match found {
        Some(instance) => Ok(instance),
        None => Err(unknown(name, &all_instances(console).await?.instances)),
    }
}

/// All instances, by name.
pub(crate) async fn all_instances(console: &Console) -> Result<Instances, Error> {
    let instances = all_pages(async |cursor| {
        let page = console.instances(&InstancesQuery { cursor, ..InstancesQuery::default() }).await?;
        Ok((page.instances, page.next_cursor))
    });
    Ok(Instances { instances: instances.await?, next_cursor: None })
}

fn unknown(name: &str, instances: &[Instance]) -> Failure {
    let names: Vec<&str> = instances.iter().map(|instance| instance.name.as_str()).collect();
    let hint = if names.is_empty() {
        "there are none; 'memcloud instances create NAME' makes one".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    Failure::new(format!("there is no instance '{name}'"), hint).ending(Exit::Nothing)
}
