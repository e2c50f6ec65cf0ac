//! Schemathesis reads the OpenAPI document of a real server, sends it what the document allows and what it does not, and
//! holds the answers against the document.

use std::process::Command;

use crate::chatting::Model;
use crate::examples::packages;
use crate::home::{Home, Server};

/// What fails: any status of 500 and above, and any status, content type, header or body that is not in the document.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
/// The most requests of each kind for one operation: all of them together take less than a minute.
const EXAMPLES: &str = "5";

/// What fails besides: any answer other than 401 to a caller without a key.
const NEEDS_A_KEY: &str = "
import schemathesis

@schemathesis.check
def needs_a_key(ctx, response, case):
    assert response.status_code == 401, f'{response.status_code} without a key'
";

/// Runs it against a server with this key, or without keys.
#[track_caller]
fn answers_are_in_the_document(key: Option<&str>, checks: &str, arguments: &[&str]) {
    let (home, model) = (Home::new(), Model::start());
    // An instance with keys shows the document to their holders only.
    home.write("document.json", &memcloud_server::openapi_json());
    home.write("needs_a_key.py", NEEDS_A_KEY);
    let mut serve = home.memcloud();
    serve.args(["serve", "--offline", "--listen", "127.0.0.1:0"]).env("OPENAI_BASE_URL", model.url());
    serve.env("MEMCLOUD_CHAT_MODEL", "fake-llm").envs(key.map(|key| ("MEMCLOUD_API_KEYS", key)));
    let server = Server::start(&mut serve);
    let mut python = Command::new("python3");
    python.args(["-m", "schemathesis.cli", "run", "document.json", "--url", &server.url]);
    python.args(["--checks", checks, "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES]);
    python.args(["--generation-deterministic", "--no-color"]);
    python.args(["--suppress-health-check", "all", "--request-timeout", "30"]).args(arguments);
    // A home of its own, so that no settings of the person who runs the tests count.
    python.env("SCHEMATHESIS_HOOKS", "needs_a_key");
    python.env("PYTHONPATH", packages("schemathesis")).env("HOME", home.path("")).current_dir(home.path(""));
    let ran = python.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn every_answer_to_a_key_is_in_the_document() {
    answers_are_in_the_document(Some("the-key"), CHECKS, &["--header", "Authorization: Bearer the-key"]);
}

#[test]
fn every_operation_but_liveness_needs_a_key_where_there_are_keys() {
    let checks = format!("{CHECKS},needs_a_key");
    answers_are_in_the_document(Some("the-key"), &checks, &["--exclude-operation-id", "live"]);
}

#[test]
fn every_answer_of_an_instance_without_keys_is_in_the_document() {
    // The first key would end it: from then on every request needs one.
    answers_are_in_the_document(None, CHECKS, &["--exclude-operation-id", "create_key"]);
}
