//! Typed parameters of paths, query strings and headers.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use memcloud_api::{Place, Problem, Problems};
use memcloud_domain::Space;
use memcloud_http::params::of_path;
pub(crate) use memcloud_http::params::{PathId, QueryParams, header, plain};
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// The `{org}/{project}` of a path.
pub(crate) struct PathSpace(Result<(String, String), Problem>);

impl utoipa::IntoParams for PathSpace {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name, description| {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            parameter.required(Required::True).description(Some(description)).schema(Some(text)).build()
        };
        vec![
            parameter("org", "The organization; `universal` for v1 groups."),
            parameter("project", "The project, or the v1 group."),
        ]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathSpace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let read = Path::<(String, String)>::from_request_parts(parts, state).await;
        Ok(Self(of_path(read, parts, "project", "the name of the space")))
    }
}

impl PathSpace {
    /// The space.
    pub(crate) fn space(self, problems: &mut Problems) -> Option<Space> {
        let (org, project) = problems.take(self.0)?;
        let org = problems.take(plain(org, Place::path("org")));
        let project = problems.take(plain(project, Place::path("project")));
        Some(Space { org: org?, project: project? })
    }
}
