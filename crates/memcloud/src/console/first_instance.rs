//! The first instance, whose data directory is that of `up` itself. Its settings are those of `up`.

use std::net::SocketAddr;
use std::path::PathBuf;

use memcloud_control::instances::{Connection, Llm, Settings, TargetKind, Topology, Wanted};
use memcloud_control::targets::local::Placement;
use memcloud_control::targets::{Observed, Target};
use memcloud_control::{
    Error, Instance, InstanceChange, NewInstance, Operation, OperationKind, PageQuery, State,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Console;
use crate::failure::Failure;
use crate::settings::{
    InstanceSettings, NEO4J_PASSWORD, NEO4J_URI, NEO4J_USER, OPENAI_API_KEY, OPENAI_BASE_URL, Sources,
    postgres_connection,
};

/// Its name.
pub(super) const NAME: &str = "default";

/// What the first instance is to be.
pub(crate) struct FirstInstance {
    /// Its databases, its model and its keys; not the one of the control plane.
    pub(crate) settings: Settings,
    /// Where it keeps its data: an absolute path.
    pub(crate) data_dir: PathBuf,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
}

/// The first instance as it was found or made.
pub(crate) struct Begun {
    pub(crate) instance: Instance,
    /// The key of the control plane, with which its user may use it, too.
    pub(crate) key: SecretString,
    /// What is done to it now.
    pub(crate) operation: Option<Operation>,
}

/// The settings of the first instance: those that `serve` would run with.
pub(crate) fn settings_of_first(
    sources: &Sources,
    resolved: &InstanceSettings,
    keyless: bool,
) -> Result<Settings, Failure> {
    let exposed = |secret: &SecretString| secret.expose_secret().to_owned();
    let password = sources.secret(&NEO4J_PASSWORD, None)?.as_ref().map(exposed);
    let neo4j = sources.text(&NEO4J_URI, None).map(|connection_string| Connection {
        connection_string,
        username: sources.text(&NEO4J_USER, None),
        password,
    });
    let api_key = sources.secret(&OPENAI_API_KEY, None)?.as_ref().map(exposed);
    let base_url = sources.text(&OPENAI_BASE_URL, None);
    let llm = resolved.config.llm.as_ref().map(|llm| Llm { base_url, api_key, model: llm.model.clone() });
    Ok(Settings {
        neo4j,
        postgres: postgres_connection(sources)?,
        llm,
        key: String::new(),
        own_keys: resolved.keys.iter().map(exposed).collect(),
        keyless,
    })
}

impl Console {
    /// Where the first instance listens, if it is known and its process lives.
    pub(crate) async fn address_of_first(&self) -> Result<Option<SocketAddr>, Failure> {
        let Some(instance) = self.find_first().await? else { return Ok(None) };
        let lives = self.local.observe(&instance).await == Observed::Alive;
        Ok(if lives { Placement::of(&instance)?.listen } else { None })
    }

    /// Makes the first instance, or makes sure that the known one runs as it is to be.
    pub(crate) async fn begin_first(&self, first: FirstInstance) -> Result<Begun, Failure> {
        let known = self.find_first().await?.filter(|known| known.state != State::Failed);
        let (instance, operation) = match known {
            None => self.create_first(first).await?,
            Some(known) => self.run_first(known, first).await?,
        };
        let key = self.secrets.settings(&instance.id).await?.key.into();
        Ok(Begun { instance, key, operation })
    }

    async fn find_first(&self) -> Result<Option<Instance>, Failure> {
        let page = PageQuery { limit: 1, cursor: None };
        let found = self.control.instances(&self.caller(), Some(NAME), &page).await?;
        Ok(found.items.into_iter().next())
    }

    async fn create_first(&self, first: FirstInstance) -> Result<(Instance, Option<Operation>), Failure> {
        let FirstInstance { settings, data_dir, listen } = first;
        let name = NAME.parse().map_err(Error::from)?;
        let program = Some(self.local.program().clone());
        let placement = Placement { data_dir: Some(data_dir), listen: Some(listen), program }.to_value();
        let new = NewInstance { name, target: TargetKind::Local, topology: None, settings, placement };
        let (instance, operation) = self.control.create(&self.caller(), new).await?;
        Ok((instance, Some(operation)))
    }

    async fn run_first(
        &self,
        known: Instance,
        first: FirstInstance,
    ) -> Result<(Instance, Option<Operation>), Failure> {
        if known.wanted == Wanted::Removed {
            return Err(Failure::new(
                "the first instance is being removed, and what is left of it is in the way of a new one",
                "choose another --data-dir, or start this one again when 'memcloud operations list' says that it is removed",
            ));
        }
        let lives = self.local.observe(&known).await == Observed::Alive;
        let changed = self.configure_first(&known, first).await?;
        let is_older = Placement::of(&known)?.program.as_ref() != Some(self.local.program());
        let kind = match (lives, is_older && known.state != State::Stopped, changed) {
            (_, true, _) => OperationKind::Upgrade,
            (false, ..) => OperationKind::Start,
            (true, _, true) => OperationKind::Restart,
            (true, _, false) => return Ok((known, None)),
        };
        match self.control.begin(&self.caller(), &known.id, kind, &Value::Null).await {
            Ok(operation) => Ok((known, Some(operation))),
            // What was interrupted goes on.
            Err(Error::Busy(id)) => {
                let operation = self.control.operation(&self.caller(), &id).await?;
                Ok((known, Some(operation)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps settings and place of the known one that differ from what they are to be. Returns whether any did.
    async fn configure_first(&self, known: &Instance, first: FirstInstance) -> Result<bool, Failure> {
        let kept = self.secrets.settings(&known.id).await?;
        let settings = Settings { key: kept.key.clone(), ..first.settings };
        let place = Placement::of(known)?;
        let placement = Placement { listen: Some(first.listen), ..place.clone() };
        let differ = settings != kept;
        if differ {
            let entry = self.caller().entry(self.clock.now(), "change settings", NAME);
            let sealed = self.secrets.seal(&known.id, &settings)?;
            self.store.replace_settings(&known.id, &sealed, Some(&entry)).await?;
        }
        let moved = placement != place;
        if differ || moved {
            let topology = Topology::of(TargetKind::Local, &settings);
            let change = InstanceChange {
                topology: Some(topology),
                has_llm: Some(settings.llm.is_some()),
                placement: Some(placement.to_value()),
                ..InstanceChange::default()
            };
            self.store.change_instance(&known.id, &change, self.clock.now()).await?;
        }
        Ok(differ || moved)
    }
}
