//! Holds every answer of these tests against the OpenAPI document.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use axum::http::{HeaderMap, Method, StatusCode, header};
use jsonschema::Validator;
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&memcloud_server::openapi_json()).unwrap());
/// The schemas that were compiled, each under its JSON.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// What any request may be answered that is for no operation: there is no such route or method, or no such caller.
const BESIDE: [StatusCode; 4] =
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];

/// Fails the test when the document does not describe this answer.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, (status, headers, text): (StatusCode, &HeaderMap, &str)) {
    let asked = format!("{method} {path}: {status} {text}");
    let json = || serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {asked}"));
    let Some(operation) = operation(method, path) else {
        let error = &DOCUMENT["components"]["schemas"]["Error"];
        assert!(BESIDE.contains(&status) || method == Method::HEAD, "{asked}");
        return if method != Method::HEAD {
            is_valid(error, &json(), &asked);
        };
    };
    let responses = &operation["responses"];
    let response = responses.get(status.as_str()).or(responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("the document does not have this status: {asked}"));
    let response = match response["$ref"].as_str() {
        Some(name) => DOCUMENT.pointer(name.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let kind = headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
    let kind = kind.split(';').next().unwrap();
    let content = response["content"].get(kind).or(response["content"].get("*/*"));
    let content = content.unwrap_or_else(|| panic!("the document does not have '{kind}': {asked}"));
    if kind == "application/json" {
        is_valid(&content["schema"], &json(), &asked);
    }
}

/// The operation of the document that a request is for. A path without parameters wins.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next()?;
    let path = path.strip_prefix("/memmachine").filter(|rest| rest.starts_with("/v1")).unwrap_or(path);
    let steps: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == steps.len()
            && wanted.iter().zip(&steps).all(|(wanted, step)| wanted.starts_with('{') || wanted == step)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap().iter().filter(|(template, _)| fits(template));
    let (_, item) = paths.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(method.as_str().to_lowercase())
}

#[track_caller]
fn is_valid(schema: &Value, body: &Value, asked: &str) {
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let mut schema = schema.clone();
        schema["components"] = json!({"schemas": DOCUMENT["components"]["schemas"]});
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    });
    let problems: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    // The other tests need the validators, too.
    drop(validators);
    assert!(problems.is_empty(), "the document does not allow {problems:?}: {asked}");
}
