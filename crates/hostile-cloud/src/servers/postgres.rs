//! The PostgreSQL behind each Cloud SQL instance.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use memcloud_test_servers::{POSTGRES_DIR, Postgres};

use crate::failure::{Failure, Outcome};
use crate::options::Options;

/// The role that users of Cloud SQL are members of.
const EVERY_USER: &str = "cloudsqlsuperuser";

/// The servers of all instances, by the full name of the instance.
#[derive(Default)]
pub(crate) struct Databases(BTreeMap<String, Arc<Database>>);

/// The server of one instance.
#[derive(Default)]
pub(crate) struct Database(Mutex<Option<Postgres>>);

impl Databases {
    /// The server of an instance; it may not have been started.
    pub(crate) fn of(&mut self, instance: &str) -> Arc<Database> {
        Arc::clone(self.0.entry(instance.to_owned()).or_default())
    }

    pub(crate) fn remove(&mut self, instance: &str) {
        self.0.remove(instance);
    }

    pub(crate) fn clear(&mut self) {
        for database in std::mem::take(&mut self.0).into_values() {
            *database.server() = None;
        }
    }

    pub(crate) fn count(&self) -> usize {
        // One that is being started or stopped counts.
        self.0
            .values()
            .filter(|database| database.0.try_lock().map_or(true, |server| server.is_some()))
            .count()
    }
}

impl Database {
    fn server(&self) -> MutexGuard<'_, Option<Postgres>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it, with the socket at `cloudsql/{connection}/.s.PGSQL.5432` below this folder.
    pub(crate) fn start(
        &self,
        options: &Options,
        root: &Path,
        connection: &str,
        tier: &str,
        password: &str,
    ) -> Outcome<()> {
        let mut server = self.server();
        let started = launch(options, root, connection, tier).and_then(|postgres| {
            let (user, password) = (identifier("postgres"), literal(password));
            run(&postgres, "postgres", &format!("CREATE ROLE {EVERY_USER} NOLOGIN CREATEDB CREATEROLE"))?;
            run(
                &postgres,
                "postgres",
                &format!(
                    "CREATE ROLE {user} LOGIN CREATEDB CREATEROLE PASSWORD {password} IN ROLE {EVERY_USER}"
                ),
            )?;
            run(&postgres, "postgres", &format!("ALTER DATABASE postgres OWNER TO {EVERY_USER}"))?;
            Ok(postgres)
        });
        *server = Some(started.map_err(|error| Failure::new("INTERNAL_ERROR", format!("{error:#}")))?);
        Ok(())
    }

    /// Starts it again after it was stopped.
    pub(crate) fn run(&self) -> Outcome<()> {
        let mut server = self.server();
        match server.as_mut() {
            Some(postgres) => {
                if postgres.runs() {
                    return Ok(());
                }
                postgres
                    .try_start_again()
                    .map_err(|error| Failure::new("INTERNAL_ERROR", format!("{error:#}")))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn stop(&self) {
        if let Some(postgres) = self.server().as_mut() {
            postgres.stop();
        }
    }

    pub(crate) fn restart(&self) -> Outcome<()> {
        self.stop();
        self.run()
    }

    pub(crate) fn create_database(&self, name: &str) -> Outcome<()> {
        self.execute(&format!("CREATE DATABASE {} OWNER {EVERY_USER}", identifier(name)))
    }

    pub(crate) fn drop_database(&self, name: &str) -> Outcome<()> {
        self.execute(&format!("DROP DATABASE {} WITH (FORCE)", identifier(name)))
    }

    /// Creates a user, or sets the password of one.
    pub(crate) fn set_user(&self, name: &str, password: &str) -> Outcome<()> {
        let (user, secret) = (identifier(name), literal(password));
        let there = format!("SELECT 1 FROM pg_roles WHERE rolname = {}", literal(name));
        // The statements are in one transaction, as all that are sent together.
        self.execute(&format!(
            "DO $do$ BEGIN IF NOT EXISTS ({there}) THEN CREATE ROLE {user} LOGIN CREATEDB CREATEROLE; END IF; END $do$; \
             ALTER ROLE {user} PASSWORD {secret}; GRANT {EVERY_USER} TO {user}"
        ))
    }

    pub(crate) fn drop_user(&self, name: &str) -> Outcome<()> {
        self.execute(&format!("DROP ROLE {}", identifier(name)))
    }

    fn execute(&self, sql: &str) -> Outcome<()> {
        let server = self.server();
        let postgres =
            server.as_ref().ok_or_else(|| Failure::new("INTERNAL_ERROR", "the server has not started"))?;
        run(postgres, "postgres", sql).map_err(|error| Failure::new("INTERNAL_ERROR", format!("{error:#}")))
    }
}

fn run(postgres: &Postgres, database: &str, sql: &str) -> Result<()> {
    postgres.try_execute(database, sql).map(drop).context("PostgreSQL refuses what the API asks for")
}

/// Starts a server with as many connections as the tier has.
fn launch(options: &Options, root: &Path, connection: &str, tier: &str) -> Result<Postgres> {
    let connections = match tier {
        "db-f1-micro" => 25,
        "db-g1-small" => 50,
        _ => 100,
    };
    let install = match &options.postgres {
        Some(folder) => folder.clone(),
        None => PathBuf::from(std::env::var_os(POSTGRES_DIR).with_context(|| {
            format!("no PostgreSQL for Cloud SQL: set {POSTGRES_DIR}, or run under 'cargo xtask databases'")
        })?),
    };
    let extensions = trusted_extensions(&install, root)?;
    let postgres = Postgres::options()
        .install(install)
        .cloud_sql()
        .max_connections(connections)
        .setting(format!("extension_control_path = '{}:$system'", extensions.display()))
        .try_start()?;
    let sockets = root.join("cloudsql");
    fs::create_dir_all(&sockets)?;
    let link = sockets.join(connection);
    std::os::unix::fs::symlink(postgres.socket_dir(), &link)
        .with_context(|| format!("cannot link {}", link.display()))?;
    Ok(postgres)
}

/// A copy of pgvector's files that lets the owner of a database create the extension, as Cloud SQL lets its users do;
/// PostgreSQL itself wants a superuser.
fn trusted_extensions(install: &Path, root: &Path) -> Result<PathBuf> {
    let place = root.join("share");
    let folder = place.join("extension");
    if folder.exists() {
        return Ok(place);
    }
    let control = |below: &str| install.join(below).join("vector.control");
    let control =
        ["share/postgresql/extension", "share/extension"].map(control).into_iter().find(|it| it.exists());
    let control = control.with_context(|| format!("there is no pgvector in {}", install.display()))?;
    let unfinished = tempfile::tempdir_in(root)?.keep();
    for entry in fs::read_dir(control.parent().unwrap_or(&control))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_owned();
        if name.to_string_lossy().starts_with("vector") {
            fs::copy(&path, unfinished.join(name))?;
        }
    }
    let own = unfinished.join("vector.control");
    fs::write(&own, format!("{}\ntrusted = true\n", fs::read_to_string(&own)?))?;
    open(&unfinished)?;
    fs::create_dir_all(&place)?;
    // Another instance may have been faster, with the same contents.
    if fs::rename(&unfinished, &folder).is_err() {
        fs::remove_dir_all(&unfinished)?;
    }
    Ok(place)
}

/// Lets the account of the database read a folder.
fn open(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?)
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
