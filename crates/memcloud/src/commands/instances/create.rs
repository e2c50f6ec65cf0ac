use std::path::{Path, PathBuf};

use memcloud_api::console::{Connection, Llm, NewInstance};
use secrecy::{ExposeSecret, SecretString};

use crate::commands::Context;
use crate::commands::instances::line;
use crate::console_client::connect_to_console;
use crate::failure::{Exit, Failure};
use crate::following::{WaitFlags, follow};
use crate::output::ask_secret;
use crate::settings::{ConsoleFlags, DB_PASSWORD, NEO4J_PASSWORD, OPENAI_API_KEY, Setting};

/// Make an instance, start it and verify it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    new: NewInstanceFlags,
    #[command(flatten)]
    wait: WaitFlags,
    #[command(flatten)]
    console: ConsoleFlags,
}

/// What a new instance is.
///
/// A password or a key is read from its file, else from its variable, else it is asked for on a terminal.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct NewInstanceFlags {
    /// Its name: lower-case letters, digits and hyphens, at most 40
    name: String,
    #[command(flatten)]
    target: TargetFlags,
    /// Its Neo4j, without a password, such as `bolt://host:7687`
    #[arg(long, value_name = "URL")]
    neo4j: Option<String>,
    /// The user of Neo4j (default: neo4j)
    #[arg(long, value_name = "NAME", requires = "neo4j")]
    neo4j_user: Option<String>,
    /// The file with the password of Neo4j (default: `NEO4J_PASSWORD`, or asked for)
    #[arg(long, value_name = "FILE", requires = "neo4j")]
    neo4j_password_file: Option<PathBuf>,
    /// Its PostgreSQL, without a password, such as `postgres://user@host:5432/database`
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// The user of PostgreSQL (default: the one in the address)
    #[arg(long, value_name = "NAME", requires = "postgres")]
    postgres_user: Option<String>,
    /// The file with the password of PostgreSQL (default: `DB_PASSWORD`, the one in the address, or asked for)
    #[arg(long, value_name = "FILE", requires = "postgres")]
    postgres_password_file: Option<PathBuf>,
    /// The language model that chats and learns (default: none)
    #[arg(long, value_name = "NAME")]
    llm_model: Option<String>,
    /// Its endpoint, which speaks OpenAI's API (default: OpenAI)
    #[arg(long, value_name = "URL", requires = "llm_model")]
    llm_url: Option<String>,
    /// The file with its key (default: `OPENAI_API_KEY` where the endpoint is OpenAI's, else none)
    #[arg(long, value_name = "FILE", requires = "llm_model")]
    llm_key_file: Option<PathBuf>,
}

/// Where a new instance runs, and on what.
#[derive(clap::Args, Clone, Debug)]
struct TargetFlags {
    /// Where it runs: local, the console's machine (default: local)
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// What it keeps its memory in: embedded, postgres or neo4j (default: what its databases make it)
    #[arg(long, value_name = "TOPOLOGY")]
    topology: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &args.console)?;
    let new = args.new.instance(context)?;
    let accepted = console.create_instance(&new).await?;
    follow(&console, accepted, &args.wait, context, |ended| {
        let name = &ended.instance.name;
        context.output.data(line(&ended.instance));
        context.output.say(format!(
            "use it with --instance {name}; 'memcloud instances keys create {name} PURPOSE --right read' makes a key for \
             other programs"
        ));
    })
    .await
}

impl NewInstanceFlags {
    /// The body of the request, with secrets that no flag holds.
    pub(crate) fn instance(self, context: &Context) -> Result<NewInstance, Failure> {
        let (neo4j, postgres, llm) = (self.neo4j(context)?, self.postgres(context)?, self.llm(context)?);
        let TargetFlags { target, topology } = self.target;
        Ok(NewInstance { name: self.name, target, topology, google: None, neo4j, postgres, llm })
    }

    fn neo4j(&self, context: &Context) -> Result<Option<Connection>, Failure> {
        let Some(url) = self.neo4j.clone() else { return Ok(None) };
        let file = self.neo4j_password_file.as_deref();
        let password = password(file, &NEO4J_PASSWORD, &url, "Neo4j", context)?;
        Ok(Some(Connection { connection_string: url, username: self.neo4j_user.clone(), password }))
    }

    fn postgres(&self, context: &Context) -> Result<Option<Connection>, Failure> {
        let Some(url) = self.postgres.clone() else { return Ok(None) };
        let file = self.postgres_password_file.as_deref();
        let password = password(file, &DB_PASSWORD, &url, "PostgreSQL", context)?;
        Ok(Some(Connection { connection_string: url, username: self.postgres_user.clone(), password }))
    }

    fn llm(&self, context: &Context) -> Result<Option<Llm>, Failure> {
        let Some(model) = self.llm_model.clone() else { return Ok(None) };
        let key = match (&self.llm_key_file, &self.llm_url) {
            (Some(file), _) => Some(secret_of(file)?),
            // The key of one endpoint is never sent to another.
            (None, Some(_)) => None,
            (None, None) => context.sources.secret(&OPENAI_API_KEY, None)?,
        };
        Ok(Some(Llm { base_url: self.llm_url.clone(), api_key: key.as_ref().map(exposed), model }))
    }
}

/// The password of a database: from its file, its variable, the address or the terminal. `None` when the address has it.
fn password(
    file: Option<&Path>,
    setting: &Setting,
    url: &str,
    what: &str,
    context: &Context,
) -> Result<Option<String>, Failure> {
    let found = match file {
        Some(file) => Some(secret_of(file)?),
        None => context.sources.secret(setting, None)?,
    };
    if has_password(url) {
        context.output.warn(
            &format!("the password in the address of {what} is visible to all users of this machine while the command runs"),
            &format!("leave it out, and set {} or name a file with it", setting.name),
        );
    }
    if found.is_some() || has_password(url) {
        return Ok(found.as_ref().map(exposed));
    }
    Ok(ask_secret(&format!("Password of {what}:")).as_ref().map(exposed).filter(|typed| !typed.is_empty()))
}

/// Whether an address has a password in it.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(account, _)| account.contains(':'))
}

fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

/// The secret in a file, without the line end of an editor.
pub(crate) fn secret_of(file: &Path) -> Result<SecretString, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Failure::file("read", file, &error).ending(Exit::Usage))?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_password_needs_no_other() {
        for url in ["postgres://ann:secret@host/memory", "bolt://neo4j:a@b@host:7687"] {
            assert!(has_password(url), "{url}");
        }
        for url in ["postgres://ann@host/memory", "bolt://host:7687", "postgres://host/a:b@c"] {
            assert!(!has_password(url), "{url}");
        }
    }
}
