//! `PATCH /v1/spaces/{org}/{project}`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::{SpaceChanges as Changes, SpaceDetails};
use memcloud_api::{Place, Problem};
use memcloud_domain::{Error, SpaceChanges, SpaceState};
use memcloud_http::{Admin, Allowed, ApiError, TypedBody};

use super::{details, unknown};
use crate::App;
use crate::api::responses::NotFound;
use crate::params::PathSpace;

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 1_000;

/// Changes a space. Unknown fields are refused. The change takes effect for messages that are stored from now on.
#[utoipa::path(
    patch,
    path = "/v1/spaces/{org}/{project}",
    operation_id = "configure_space",
    tag = "spaces",
    params(PathSpace),
    request_body = Changes,
    responses(
        (status = 200, description = "The space as it is now.", body = SpaceDetails),
        NotFound,
        (status = 409, description = "The space is being deleted.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn configure(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    space: PathSpace,
    body: TypedBody<Changes>,
) -> Result<Json<SpaceDetails>, ApiError> {
    let (space, changes) =
        body.known_fields_only().checked(|Changes { description, learns }, problems| {
            problems.take(check_description(description.as_deref().unwrap_or_default()));
            Some((space.space(problems)?, SpaceChanges { description, learns }))
        })?;
    let space = allowed.enter(space)?;
    let spaces = &app.memory.engine().spaces;
    if !spaces.configure_space(&space, changes).await? {
        let known = spaces.describe_space(&space).await?;
        let deleting = known.is_some_and(|(info, _)| info.state == SpaceState::Deleting);
        return Err(if deleting { Error::SpaceDeleting(space).into() } else { unknown() });
    }
    tracing::info!(by = %allowed.id(), "space configured");
    details(&app.memory, &space).await.map(Json)
}

fn check_description(description: &str) -> Result<(), Problem> {
    let (msg, code) = if description.chars().nth(MAX_DESCRIPTION).is_some() {
        (format!("the description has more than {MAX_DESCRIPTION} characters"), "description_too_long")
    } else if description.contains('\0') {
        ("the description contains a NUL character".to_owned(), "nul_character")
    } else {
        return Ok(());
    };
    Err(Problem::new(Place::body().at("description"), "value_error", msg, code))
}
