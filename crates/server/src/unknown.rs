//! The fields and parameters of a request that its operation does not have. They change nothing, so the answer names them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::extract::{MatchedPath, Query, Request};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use memcloud_api::Place;
use memcloud_http::UnknownFields;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use crate::api::memmachine::COMPATIBLE;

/// Names what was not understood.
const HEADER: &str = "x-memcloud-unknown-fields";
/// The most places that one line of the header names; a name has at most 200 characters.
const MAX_NAMED: usize = 10;

/// The names of the parameters in the query strings of all operations, by method and path.
pub(crate) struct KnownParameters(BTreeMap<(&'static str, String), BTreeSet<String>>);

/// Names these places in the answer.
fn name(headers: &mut HeaderMap, unknown: &[Place]) {
    let names = unknown.iter().take(MAX_NAMED).map(|place| place.to_string().escape_debug().to_string());
    let names = names.collect::<Vec<_>>().join(", ");
    if let (false, Ok(names)) = (names.is_empty(), HeaderValue::from_bytes(names.as_bytes())) {
        headers.append(HEADER, names);
    }
}

/// Names the fields of the body that its type does not have, and the parameters of the query string that the document does
/// not give the operation.
pub(crate) async fn name_unknown(
    known: &LazyLock<KnownParameters>,
    mut request: Request,
    next: Next,
) -> Response {
    let parameters = request.uri().query().and_then(|_| known.lacks(&request)).unwrap_or_default();
    let fields = UnknownFields::default();
    request.extensions_mut().insert(fields.clone());
    let mut response = next.run(request).await;
    name(response.headers_mut(), fields.places());
    name(response.headers_mut(), &parameters);
    response
}

impl KnownParameters {
    /// Those of a document.
    pub(crate) fn of(document: OpenApi) -> Self {
        let operations = |(path, item): (String, PathItem)| {
            let PathItem { get, put, post, patch, delete, .. } = item;
            let all = [("GET", get), ("PUT", put), ("POST", post), ("PATCH", patch), ("DELETE", delete)];
            all.map(|(method, operation)| Some(((method, path.clone()), names(operation?))))
        };
        Self(document.paths.paths.into_iter().flat_map(operations).flatten().collect())
    }

    /// The parameters that are not among them; `None` for a request that no operation can read.
    fn lacks(&self, request: &Request) -> Option<Vec<Place>> {
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let path = request.extensions().get::<MatchedPath>()?.as_str();
        let path = path.strip_prefix(COMPATIBLE).unwrap_or(path);
        let known = self.0.get(&(method.as_str(), path.to_owned()))?;
        let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).ok()?;
        let unknown = given.iter().map(|(name, _)| name).filter(|name| !known.contains(*name));
        Some(unknown.map(|name| Place::query().under(name)).collect())
    }
}

fn names(operation: Operation) -> BTreeSet<String> {
    let in_query = |parameter| match parameter {
        RefOr::T(Parameter { name, parameter_in: ParameterIn::Query, .. }) => Some(name),
        _ => None,
    };
    operation.parameters.into_iter().flatten().filter_map(in_query).collect()
}
