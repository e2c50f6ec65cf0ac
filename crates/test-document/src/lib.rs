//! Holds the answers of tests against an OpenAPI document.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jsonschema::Validator;
use memcloud_sse::Events;
use serde_json::{Value, json};

/// The answers to requests that reach no operation: an unknown route or method, or an unknown caller.
const BESIDE: [u16; 4] = [401, 403, 404, 405];
/// Answered as `GET` is, but without a body, and not in the document.
const HEAD: &str = "HEAD";

/// An OpenAPI document, and the schemas of it that were compiled, each under its JSON.
pub struct Document {
    document: Value,
    validators: Mutex<HashMap<String, Validator>>,
}

/// One answer, and what it answers.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Of the request, in capitals.
    pub method: &'a str,
    /// Of the request, with or without its query.
    pub path: &'a str,
    /// The status.
    pub status: u16,
    /// The header `content-type`, empty if there is none.
    pub content_type: &'a str,
    /// The body.
    pub text: &'a str,
}

impl Document {
    /// A document, as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn new(document: &str) -> Self {
        Self { document: serde_json::from_str(document).unwrap(), validators: Mutex::default() }
    }

    /// Whether the document has a path that a request with this one is for.
    pub fn has(&self, path: &str) -> bool {
        self.item(path).is_some()
    }

    /// # Panics
    /// When the document does not describe this answer.
    #[track_caller]
    pub fn check(&self, answer: Answer) {
        let json = || serde_json::from_str(answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        let item = self.item(answer.path);
        let Some(operation) = item.and_then(|item| item.get(answer.method.to_lowercase())) else {
            let error =
                item.and_then(other_errors).unwrap_or(&self.document["components"]["schemas"]["Error"]);
            assert!(BESIDE.contains(&answer.status) || answer.method == HEAD, "{answer:?}");
            return if answer.method != HEAD {
                self.is_valid(error, &json(), answer);
            };
        };
        let responses = &operation["responses"];
        let response = responses.get(answer.status.to_string()).or(responses.get("default"));
        let response =
            response.unwrap_or_else(|| panic!("the document does not have this status: {answer:?}"));
        let response = match response["$ref"].as_str() {
            Some(name) => self.document.pointer(name.trim_start_matches('#')).unwrap(),
            None => response,
        };
        let kind = answer.content_type.split(';').next().unwrap_or_default();
        let content = response["content"].get(kind).or(response["content"].get("*/*"));
        let content = content.unwrap_or_else(|| panic!("the document does not have '{kind}': {answer:?}"));
        match kind {
            "application/json" => self.is_valid(&content["schema"], &json(), answer),
            "text/event-stream" => self.check_events(&content["schema"], answer),
            _ => {}
        }
    }

    /// Holds each event of a stream against the schema of its name and its data, where the document has one.
    #[track_caller]
    fn check_events(&self, schema: &Value, answer: Answer) {
        if schema["type"] == "string" {
            return;
        }
        let mut events = Events::default();
        events.push(answer.text.as_bytes());
        while let Some(event) = events.next_event().unwrap() {
            let Some(data) = event.data else { continue };
            let data: Value = serde_json::from_str(&data).unwrap();
            self.is_valid(schema, &json!({"event": event.name, "data": data}), answer);
        }
    }

    /// The item of the document that a request is for. A path without parameters wins.
    fn item(&self, path: &str) -> Option<&Value> {
        let path = path.split('?').next()?;
        let path = path.strip_prefix("/memmachine").filter(|rest| rest.starts_with("/v1")).unwrap_or(path);
        let steps: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == steps.len()
                && wanted.iter().zip(&steps).all(|(wanted, step)| wanted.starts_with('{') || wanted == step)
        };
        let paths = self.document["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
        paths.min_by_key(|(template, _)| template.matches('{').count()).map(|(_, item)| item)
    }

    #[track_caller]
    fn is_valid(&self, schema: &Value, body: &Value, answer: Answer) {
        // A test that failed here must not fail the others.
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let mut schema = schema.clone();
            schema["components"] = json!({"schemas": self.document["components"]["schemas"]});
            jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
        });
        let problems: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        drop(validators);
        assert!(problems.is_empty(), "the document does not allow {problems:?}: {answer:?}");
    }
}

/// The schema of the errors of a path whose operations answer all errors in another shape: other methods of it do, too.
fn other_errors(item: &Value) -> Option<&Value> {
    let schema = "/responses/default/content/application~1json/schema";
    item.as_object()?.values().find_map(|operation| operation.pointer(schema))
}
