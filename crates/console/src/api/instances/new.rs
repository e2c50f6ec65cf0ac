use memcloud_api::console::{Connection as ApiConnection, NewInstance as ApiNewInstance};
use memcloud_api::{Place, Problem, Problems};
use memcloud_control::NewInstance;
use memcloud_control::instances::{Connection, Llm, Settings, TargetKind, Topology};
use serde_json::json;

use super::google;
use crate::api::params::word;

/// How addresses of each database begin.
const NEO4J: &[&str] = &["bolt://", "bolt+s://", "bolt+ssc://", "neo4j://", "neo4j+s://", "neo4j+ssc://"];
const POSTGRES: &[&str] = &["postgres://", "postgresql://"];
const HTTP: &[&str] = &["http://", "https://"];

/// The instance that a body describes.
pub(in crate::api) fn new_instance(body: ApiNewInstance, problems: &mut Problems) -> Option<NewInstance> {
    let body_at = |field| Place::body().at(field);
    let name = body.name.parse().map_err(|error: memcloud_control::instances::InvalidName| {
        Problem::new(body_at("name"), "value_error", error.to_string(), "invalid_name")
    });
    let name = problems.take(name);
    let target = body.target.as_deref().unwrap_or("local");
    let target = problems.take(word::<TargetKind>(target, "target", "'local', 'google'", "unknown_target"));
    let topologies = "'embedded', 'postgres', 'neo4j', 'aura', 'vm', 'gke'";
    let topology = body
        .topology
        .as_deref()
        .map(|given| problems.take(word::<Topology>(given, "topology", topologies, "unknown_topology")));
    let neo4j = connection(body.neo4j, "neo4j", NEO4J, problems);
    let postgres = connection(body.postgres, "postgres", POSTGRES, problems);
    let llm = body.llm.map(|llm| {
        if llm.model.trim().is_empty() {
            let place = body_at("llm").at("model");
            problems.push(Problem::new(place, "value_error", "the model is empty", "empty_value"));
        }
        if let Some(url) = &llm.base_url {
            problems.take(check_address(url, body_at("llm").at("base_url"), HTTP));
        }
        Llm { base_url: llm.base_url, api_key: llm.api_key, model: llm.model }
    });
    let settings = Settings { neo4j, postgres, llm, ..Settings::default() };
    let topology = topology.map_or(Some(None), |topology| topology.map(Some));
    let placement = match (target, body.google) {
        (Some(TargetKind::Google), given) => google::place(given, &settings, problems),
        (_, None) => Some(json!({})),
        (_, Some(_)) => {
            let msg = "it is only for the target 'google'";
            problems.push(Problem::new(body_at("google"), "value_error", msg, "unwanted_google"));
            None
        }
    };
    Some(NewInstance { name: name?, target: target?, topology: topology?, settings, placement: placement? })
}

fn connection(
    given: Option<ApiConnection>,
    field: &'static str,
    schemes: &[&str],
    problems: &mut Problems,
) -> Option<Connection> {
    let ApiConnection { connection_string, username, password } = given?;
    let place = Place::body().at(field).at("connection_string");
    problems.take(check_address(&connection_string, place, schemes));
    Some(Connection { connection_string, username, password })
}

/// Refuses an address that begins in another way, without repeating it: it may have a password in it.
fn check_address(address: &str, place: Place, schemes: &[&str]) -> Result<(), Problem> {
    let rest = schemes.iter().find_map(|scheme| address.strip_prefix(scheme));
    if rest.is_some_and(|rest| !rest.is_empty()) && !address.chars().any(char::is_control) {
        return Ok(());
    }
    let msg = format!("it must be an address that begins with {}", schemes.join(", "));
    Err(Problem::new(place, "value_error", msg, "invalid_connection"))
}
