//! Tries the databases and the language model that an instance is to have, before it is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memcloud_control::Reason;
use memcloud_control::instances::Settings;
use memcloud_control::targets::ConnectionCheck;
use memcloud_control::targets::local::variables;
use memcloud_domain::{Clock, Database, DatabaseErrorKind, Error, with_causes};
use memcloud_instance::Llm;
use memcloud_instance::engines::{neo4j, postgres};
use memcloud_ports::{Call, ModelAnswer, ModelError};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::hint::hint;
use crate::settings::{Sources, engines, llm};

/// How long the language model may take. One that runs on this machine may have to be loaded first.
const MODEL_WITHIN: Duration = Duration::from_secs(10);

/// Tries connections as an instance itself would make them.
pub(crate) struct Connections(pub(crate) Arc<dyn Clock>);

#[async_trait]
impl ConnectionCheck for Connections {
    async fn check(&self, settings: &Settings) -> Result<Vec<String>, Reason> {
        check(settings, &self.0).await
    }
}

async fn check(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Vec<String>, Reason> {
    let sources = Sources::of_variables(variables(settings));
    let engines = engines(&sources).map_err(|failure| in_fields(&failure))?;
    let (llm, _) = llm(&sources).map_err(|failure| in_fields(&failure))?;
    let postgres = async {
        let Some(target) = &engines.postgres else { return Ok(None) };
        let reached = patiently(|| postgres::reach(target, Arc::clone(clock))).await;
        reached.map_err(|error| database_failed(&target.place(), &error))?;
        Ok(Some(format!("PostgreSQL answers at {}", target.place())))
    };
    let graph = async {
        let Some(target) = &engines.graph else { return Ok(None) };
        let reached = patiently(|| neo4j::reach(target)).await;
        reached.map_err(|error| database_failed(&target.place(), &error))?;
        Ok(Some(format!("Neo4j answers at {}", target.place())))
    };
    let model = async {
        match &llm {
            Some(llm) => model(llm).await.map(Some),
            None => Ok(None),
        }
    };
    let found = tokio::try_join!(postgres, graph, model)?;
    Ok([found.0, found.1, found.2].into_iter().flatten().collect())
}

/// Tries a database that does not answer once more, for four seconds each: one that has just started is slow at first.
async fn patiently<F: Future<Output = Result<(), Error>>>(reach: impl Fn() -> F) -> Result<(), Error> {
    match reach().await {
        Err(Error::Database { kind: DatabaseErrorKind::Silent, .. }) => reach().await,
        reached => reached,
    }
}

async fn model(llm: &Llm) -> Result<String, Reason> {
    let name = format!("the model {} at {}", llm.model, llm.endpoint.address());
    let endpoint = llm.open();
    // A model may have to be loaded first; an endpoint that lives says meanwhile which models it has.
    let (answered, listed) = tokio::join!(
        tokio::time::timeout(MODEL_WITHIN, ask(llm)),
        tokio::time::timeout(MODEL_WITHIN, endpoint.models())
    );
    match (answered, listed) {
        (Ok(Ok(answer)), _) => Ok(format!("{name} answers in {:.1} s", answer.seconds)),
        (Ok(Err(message)), _) => {
            Err(Reason::new(message, "correct 'base_url', 'api_key' and 'model' of 'llm'"))
        }
        (Err(_), Ok(_)) => Ok(format!("{name} has not answered yet; the verification waits longer")),
        (Err(_), Err(_)) => Err(Reason::new(
            format!("{name} does not answer within {} s", MODEL_WITHIN.as_secs()),
            "check that the endpoint runs, and that 'base_url' of 'llm' names it",
        )),
    }
}

/// What a language model answered.
pub(crate) struct Answer {
    /// How long it took.
    pub(crate) seconds: f64,
    /// Whether it said nothing.
    pub(crate) is_empty: bool,
}

/// Sends the language model one small request. The error is a message.
pub(crate) async fn ask(llm: &Llm) -> Result<Answer, String> {
    let began = Instant::now();
    let body = Map::from_iter([
        ("model".to_owned(), Value::from(llm.model.as_str())),
        ("messages".to_owned(), json!([{"role": "user", "content": "Answer with the one word: ready"}])),
    ]);
    let answer = llm.open().send(&Call { body, idempotency_key: None }).await;
    let is_empty = match answer {
        Ok(ModelAnswer::Whole(completion)) => completion.text.trim().is_empty(),
        Ok(_) => false,
        Err(error @ ModelError::Refused(_)) => return Err(error.to_string()),
        Err(error) => return Err(format!("{}: {}", llm.endpoint.address(), with_causes(&error))),
    };
    Ok(Answer { seconds: began.elapsed().as_secs_f64(), is_empty })
}

fn database_failed(place: &str, error: &Error) -> Reason {
    let field = |database: Database| if database == Database::Neo4j { "neo4j" } else { "postgres" };
    let hint = match error {
        Error::Database { database, kind: DatabaseErrorKind::Refused, .. } => {
            format!("correct 'username' and 'password' of '{}'", field(*database))
        }
        Error::Database {
            database,
            kind: DatabaseErrorKind::Unreachable | DatabaseErrorKind::Silent,
            ..
        } => format!(
            "check that {database} runs, and that 'connection_string' of '{}' names it",
            field(*database)
        ),
        Error::Database { database: Database::Postgres, kind: DatabaseErrorKind::Untrusted, .. } => {
            "have this machine trust the authority that signed the certificate; on a network that you trust, add 'sslmode=disable' to \
             'connection_string' of 'postgres'"
                .to_owned()
        }
        Error::Database { database: Database::Neo4j, kind: DatabaseErrorKind::Untrusted, .. } => {
            "have this machine trust the authority that signed the certificate, and use the host that it names in \
             'connection_string' of 'neo4j'"
                .to_owned()
        }
        error => in_words(hint(error)),
    };
    Reason::new(format!("{place}: {}", with_causes(error)), hint)
}

/// A failure of a setting, in the words of a request.
fn in_fields(failure: &Failure) -> Reason {
    Reason::new(in_words(&failure.message), in_words(&failure.hint))
}

/// A text about settings, in the words of a request.
fn in_words(text: &str) -> String {
    const FIELDS: [(&str, &str); 8] = [
        ("NEO4J_USER", "'username' of 'neo4j'"),
        ("DB_HOST", "'connection_string' of 'postgres'"),
        (", lower DB_POOL,", ""),
        ("NEO4J_URI", "'connection_string' of 'neo4j'"),
        ("NEO4J_PASSWORD_FILE", "'password' of 'neo4j'"),
        ("NEO4J_PASSWORD", "'password' of 'neo4j'"),
        ("DATABASE_URL", "'connection_string' of 'postgres'"),
        ("OPENAI_BASE_URL", "'base_url' of 'llm'"),
    ];
    FIELDS.iter().fold(text.to_owned(), |text, (variable, field)| text.replace(variable, field))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use memcloud_control::instances::{self, Connection};

    async fn check(settings: &Settings) -> Result<Vec<String>, Reason> {
        // Fails only when a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Connections(Arc::new(memcloud_domain::SystemClock)).check(settings).await
    }

    fn connection(address: &str) -> Connection {
        let password = Some("open-sesame".into());
        Connection { connection_string: address.into(), username: Some("ann".into()), password }
    }

    /// An address where nothing listens.
    fn nowhere() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_connection_to_nowhere_is_named_without_its_password() {
        let address = nowhere();
        let postgres = Some(connection(&format!("postgres://{address}/d")));
        let neo4j = Some(connection(&format!("bolt://{address}")));
        for (settings, field) in [
            (Settings { postgres, ..Settings::default() }, "postgres"),
            (Settings { neo4j, ..Settings::default() }, "neo4j"),
        ] {
            let reason = check(&settings).await.unwrap_err();
            assert!(reason.message.contains(&address) && reason.hint.contains(field), "{reason:?}");
            assert!(!format!("{reason:?}").contains("sesame"), "{reason:?}");
        }
        let llm = instances::Llm {
            base_url: Some(format!("http://{address}/v1")),
            api_key: Some("open-sesame".into()),
            model: "m".into(),
        };
        let reason = check(&Settings { llm: Some(llm), ..Settings::default() }).await.unwrap_err();
        assert!(reason.message.contains(&address) && !format!("{reason:?}").contains("sesame"), "{reason:?}");
    }

    #[tokio::test]
    async fn a_model_that_accepts_and_never_answers_is_named_after_ten_seconds() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let llm = instances::Llm {
            base_url: Some(format!("http://{address}/v1")),
            api_key: None,
            model: "m".into(),
        };
        let reason = check(&Settings { llm: Some(llm), ..Settings::default() }).await.unwrap_err();
        assert!(reason.message.contains(&format!("{address}/v1 does not answer within 10 s")), "{reason:?}");
        assert!(reason.hint.contains("'base_url' of 'llm'"), "{reason:?}");
    }

    #[tokio::test]
    async fn a_database_without_tls_is_explained_in_the_words_of_the_request() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // PostgreSQL without TLS answers the request for it so.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.read_exact(&mut [0; 8]).unwrap();
                stream.write_all(b"N").unwrap();
            }
        });
        let postgres = Some(connection(&format!("postgres://{address}/d?sslmode=verify-full")));
        let reason = check(&Settings { postgres, ..Settings::default() }).await.unwrap_err();
        assert!(reason.hint.contains("'sslmode=disable'") && !reason.hint.contains("DB_"), "{reason:?}");
    }

    #[tokio::test]
    async fn what_is_no_address_is_said_in_the_words_of_the_request() {
        let neo4j = Some(connection("http://example.com"));
        let reason = check(&Settings { neo4j, ..Settings::default() }).await.unwrap_err();
        assert!(reason.message.starts_with("'connection_string' of 'neo4j'"), "{reason:?}");
        let postgres = Some(connection("example.com"));
        let reason = check(&Settings { postgres, ..Settings::default() }).await.unwrap_err();
        assert!(reason.message.starts_with("'connection_string' of 'postgres'"), "{reason:?}");
    }

    #[tokio::test]
    async fn an_instance_without_connections_has_nothing_to_try() {
        assert_eq!(check(&Settings::default()).await.unwrap(), Vec::<String>::new());
    }
}
