//! How to run a cloud.

use std::path::PathBuf;
use std::time::Duration;

use crate::faults::Faults;

/// How to run a cloud.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) project: String,
    pub(crate) number: u64,
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    pub(crate) token_life: Duration,
    pub(crate) server: Option<PathBuf>,
    pub(crate) image_environment: Vec<(String, String)>,
    pub(crate) postgres: Option<PathBuf>,
    pub(crate) neo4j: Option<PathBuf>,
    pub(crate) processes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            project: "memcloud-fake".to_owned(),
            number: 480_215_163_742,
            seed: 0,
            faults: Faults::None,
            token_life: Duration::from_hours(1),
            server: None,
            image_environment: Vec::new(),
            postgres: None,
            neo4j: None,
            processes: true,
        }
    }
}

impl Options {
    /// The id of the project. Default `memcloud-fake`.
    pub fn project(self, id: impl Into<String>) -> Self {
        Self { project: id.into(), ..self }
    }

    /// What faults and names depend on. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// How hostile the cloud is. Default: not at all.
    pub fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// How long an access token is valid. Default an hour.
    pub fn token_life(self, life: Duration) -> Self {
        Self { token_life: life, ..self }
    }

    /// The program in the container image: that of `memcloud`. Without it, no image exists.
    pub fn server(self, program: impl Into<PathBuf>) -> Self {
        Self { server: Some(program.into()), ..self }
    }

    /// Sets an environment variable in the container image, as `ENV` in a Dockerfile does.
    pub fn image_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.image_environment.push((name.into(), value.into()));
        self
    }

    /// The folder of the PostgreSQL behind Cloud SQL, which contains `bin/`. Default: that of the tests.
    pub fn postgres(self, folder: impl Into<PathBuf>) -> Self {
        Self { postgres: Some(folder.into()), ..self }
    }

    /// The folder of the jars of the Neo4j behind Aura. Default: that of the tests.
    pub fn neo4j(self, folder: impl Into<PathBuf>) -> Self {
        Self { neo4j: Some(folder.into()), ..self }
    }

    /// Starts no process: databases and services exist as entries only, and a service answers nothing. For tests of what a
    /// client asks for.
    pub fn without_processes(self) -> Self {
        Self { processes: false, ..self }
    }
}
