//! The errors that several operations describe in the document.

use memcloud_api::Error;
use utoipa::IntoResponses;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, ResponseBuilder};

/// The errors of a store.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum StoreErrors {
    /// A producer or recipient is not a member of the session, or the body broke off.
    #[response(status = 400)]
    NotAMember(Error),
    /// The idempotency key was used before with another request, or the group is being deleted.
    #[response(status = 409)]
    Conflict(Error),
}

/// The errors of a request for one thing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum NotFound {
    /// Nothing has this name, or nothing that is open to the caller.
    #[response(status = 404)]
    NotFound(Error),
}

/// What the parser of HTTP answers to any route, without a body.
const BY_PARSER: &str = "431";
pub(crate) const HEAD_TOO_LARGE: &str =
    "The head is longer than 32 KiB, or has more than 100 fields. The answer has no body.";

/// Whether an operation may answer an error.
type Applies = fn(&Operation) -> bool;

/// Errors that many operations answer alike: status, name, description, and which operations.
const SHARED: [(&str, &str, &str, Applies); 11] = [
    (
        "400",
        "BadRequest",
        "The head can be read in two ways, or the body ended early or is malformed. A head that is not HTTP gets this \
         status without a body.",
        every,
    ),
    ("401", "Unauthorized", "There is no key, or it is unknown, revoked or expired.", every),
    (
        "403",
        "Forbidden",
        "The key lacks the right, or does not open the group; or, without keys, the caller is not on this machine.",
        every,
    ),
    ("408", "BodyTimeout", "The body took too long to arrive.", has_body),
    ("413", "PayloadTooLarge", "The body is too large.", has_body),
    ("415", "UnsupportedEncoding", "The body is compressed.", has_body),
    ("422", "Invalid", "The request does not validate; nothing was done.", has_input),
    (BY_PARSER, "HeadTooLarge", HEAD_TOO_LARGE, every),
    ("500", "Failed", "The server failed; its log says why.", every),
    ("503", "Unavailable", "The memory cannot serve now; `Retry-After` says when to ask again.", every),
    ("507", "StorageFull", "The disk is full; nothing was stored.", every),
];

/// Describes the shared errors of these operations.
pub(crate) fn add_shared(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(add_shared_of);
    }
}

/// Describes the shared errors of an operation, apart from those that it describes itself. One with a `default` answers
/// all errors that have a body in another shape.
fn add_shared_of(operation: &mut Operation) {
    let shaped = operation.responses.responses.contains_key("default");
    for (status, name, _, applies) in SHARED {
        if applies(operation) && (!shaped || status == BY_PARSER) {
            let shared = RefOr::Ref(Ref::from_response_name(name));
            operation.responses.responses.entry(status.to_owned()).or_insert(shared);
        }
    }
}

/// Describes the shared errors themselves.
pub(crate) fn describe_shared(components: &mut Components) {
    for (status, name, description, _) in SHARED {
        let mut response = ResponseBuilder::new().description(description);
        if status != BY_PARSER {
            let error = Content::new(Some(Ref::from_schema_name("Error")));
            response = response.content("application/json", error);
        }
        components.responses.insert(name.to_owned(), response.build().into());
    }
}

fn every(_: &Operation) -> bool {
    true
}

fn has_body(operation: &Operation) -> bool {
    operation.request_body.is_some()
}

fn has_input(operation: &Operation) -> bool {
    has_body(operation) || operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty())
}
