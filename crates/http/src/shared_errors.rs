//! The errors that many operations of a document answer alike.

use std::borrow::Cow;

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, ResponseBuilder, Schema};

/// What the parser of HTTP answers to any route, without a body.
const BY_PARSER: &str = "431";
/// What the parser's own refusals say in a document.
pub const HEAD_TOO_LARGE: &str =
    "The head is longer than 32 KiB, or has more than 100 fields. The answer has no body.";

/// An error that operations share.
#[derive(Clone, Copy, Debug)]
pub struct SharedError {
    /// Its HTTP status.
    pub status: &'static str,
    /// Names it in the document.
    pub name: &'static str,
    /// When it is answered.
    pub description: &'static str,
    /// Which operations answer it.
    pub of: Operations,
}

/// Some of the operations of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operations {
    /// All.
    All,
    /// Those that read a body, if only to refuse one: all that are not a `GET`.
    WithBody,
    /// Those that read a body or parameters.
    WithInput,
}

/// The errors that do not depend on what a server serves.
const OF_HTTP: [SharedError; 7] = [
    SharedError {
        status: "400",
        name: "BadRequest",
        description: "The head can be read in two ways or names no host, or the body ended early or is malformed. A head that is not \
                      HTTP gets this status without a body.",
        of: Operations::All,
    },
    SharedError {
        status: "408",
        name: "BodyTimeout",
        description: "The body took too long to arrive.",
        of: Operations::WithBody,
    },
    SharedError {
        status: "413",
        name: "PayloadTooLarge",
        description: "The body is too large.",
        of: Operations::WithBody,
    },
    SharedError {
        status: "415",
        name: "UnsupportedEncoding",
        description: "The body is compressed.",
        of: Operations::WithBody,
    },
    SharedError {
        status: "422",
        name: "Invalid",
        description: "The request does not validate; nothing was done.",
        of: Operations::WithInput,
    },
    SharedError { status: BY_PARSER, name: "HeadTooLarge", description: HEAD_TOO_LARGE, of: Operations::All },
    SharedError {
        status: "500",
        name: "Failed",
        description: "The server failed; its log says why.",
        of: Operations::All,
    },
];

/// Adds the errors of HTTP and these errors of a server to the operations of a document, apart from those that an operation
/// describes itself. One with a `default` answers all errors that have a body in another shape.
pub fn add_shared_errors(document: &mut OpenApi, own: &[SharedError]) {
    for item in document.paths.paths.values_mut() {
        if let Some(operation) = &mut item.get {
            add_to(operation, own, false);
        }
        let with_body = [&mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in with_body.into_iter().flatten() {
            add_to(operation, own, true);
        }
    }
}

fn add_to(operation: &mut Operation, own: &[SharedError], has_body: bool) {
    let shaped = operation.responses.responses.contains_key("default");
    for SharedError { status, name, of, .. } in OF_HTTP.iter().chain(own) {
        if of.include(operation, has_body) && (!shaped || *status == BY_PARSER) {
            let shared = RefOr::Ref(Ref::from_response_name(*name));
            operation.responses.responses.entry((*status).to_owned()).or_insert(shared);
        }
    }
}

/// Says in a document that the schemas of these names, bodies of requests, have no fields but those that it describes.
pub fn close_schemas(document: &mut OpenApi, names: &[Cow<'static, str>]) {
    for (name, schema) in document.components.iter_mut().flat_map(|components| &mut components.schemas) {
        if names.contains(&Cow::Borrowed(name.as_str()))
            && let RefOr::T(Schema::Object(object)) = schema
        {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// Describes the shared errors themselves.
pub fn describe_shared_errors(components: &mut Components, own: &[SharedError]) {
    for SharedError { status, name, description, .. } in OF_HTTP.iter().chain(own) {
        let mut response = ResponseBuilder::new().description(*description);
        if *status != BY_PARSER {
            let error = Content::new(Some(Ref::from_schema_name("Error")));
            response = response.content("application/json", error);
        }
        components.responses.insert((*name).to_owned(), response.build().into());
    }
}

impl Operations {
    fn include(self, operation: &Operation, has_body: bool) -> bool {
        let has_parameters = || operation.parameters.as_ref().is_some_and(|known| !known.is_empty());
        match self {
            Self::All => true,
            Self::WithBody => has_body,
            Self::WithInput => has_body || has_parameters(),
        }
    }
}
