//! The whole route table, by who may call, and the document that is made of it.

use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use memcloud_api::memmachine_v1::ForgetSession;
use memcloud_api::native::{DeleteSession, DeleteUser, NewKey, SpaceChanges};
use memcloud_domain::Error;
use memcloud_http::{
    ApiError, Counting, Dialect, add_shared_errors, close_schemas, count, describe_shared_errors, guarded,
    served,
};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::chat::native;
use crate::api::health::{live, ready, summary};
use crate::api::memmachine::COMPATIBLE;
use crate::api::memmachine::v1::{self, Shapes, V1};
use crate::api::responses::SHARED;
use crate::api::{
    erasure, keys, memories, metrics, openai, openapi as openapi_document, profile, spaces, usage,
};
use crate::guard::Guard;
use crate::unknown::{self, KnownParameters};
use crate::{App, guard, hint};

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);
static KNOWN: LazyLock<KnownParameters> = LazyLock::new(|| KnownParameters::of(document()));

/// All routes of an instance.
pub fn router(app: App) -> Router {
    let metrics = Arc::clone(app.measures.metrics());
    let plan = Router::from(for_memories());
    let compatible = plan.clone().with_state(V1 { app: app.clone(), shapes: Shapes::Original });
    let counting = Counting {
        account: Arc::clone(app.memory.in_flight()),
        busy: || ApiError::from(Error::Busy).into_response(),
    };
    let guard = Guard { app: app.clone(), while_keys_unreadable: false };
    let guarded = |routes: Router, names_unknown| {
        let gate = Gate { counting: counting.clone(), guard: guard.clone(), names_unknown };
        routes.method_not_allowed_fallback(no_method).layer(from_fn_with_state(gate, pass))
    };
    let for_openai = guarded(Router::from(for_openai()).with_state(app.clone()), false);
    let for_key_holders = Router::from(for_key_holders())
        .layer(Extension(openapi_document::Document(&DOCUMENT)))
        .with_state(app.clone())
        .merge(plan.with_state(V1 { app: app.clone(), shapes: Shapes::AsAsked }))
        .nest(COMPATIBLE, compatible)
        .fallback(async || ApiError::no_route());
    let for_key_holders = guarded(for_key_holders, true);
    let guard = Guard { app: app.clone(), while_keys_unreadable: true };
    let health = Router::from(for_operators()).with_state(app).method_not_allowed_fallback(no_method);
    let health = health.layer(from_fn_with_state(guard, guard::callers));
    let open = Router::from(for_anyone()).method_not_allowed_fallback(no_method);
    let native = open.merge(health).merge(for_key_holders);
    served([(Dialect::FastApi, native), (Dialect::OpenAi, for_openai)], metrics, hint::of)
}

/// What the routes of key holders have around them. One layer: each copies all that are in it, for every request.
#[derive(Clone)]
struct Gate {
    counting: Counting,
    guard: Guard,
    /// Whether an answer names the fields and parameters that its operation does not have.
    names_unknown: bool,
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let answer = async |request| {
        if gate.names_unknown {
            unknown::name_unknown(&KNOWN, request, next).await
        } else {
            next.run(request).await
        }
    };
    count(&gate.counting, request, |request| guard::admit(&gate.guard, request, answer)).await
}

async fn no_method() -> ApiError {
    ApiError::no_method()
}

/// The routes that need no key: no more than whether the process lives.
fn for_anyone() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(live::live))
}

/// The routes that say what does not work. They answer this machine even while keys cannot be read.
fn for_operators() -> OpenApiRouter<App> {
    guarded![summary::health, ready::ready]
}

/// The routes other than the memory's own that need a key, where the instance has one.
fn for_key_holders() -> OpenApiRouter<App> {
    guarded![
        metrics::metrics,
        openapi_document::openapi,
        keys::create,
        keys::list,
        keys::revoke,
        spaces::list::list,
        spaces::describe::describe,
        spaces::configure::configure,
        spaces::delete::delete,
        native::chat,
        usage::usage,
    ]
}

/// The routes of memories, facts and sessions, which are there once more for unchanged clients of v1.
fn for_memories() -> OpenApiRouter<V1> {
    guarded![
        v1::store::store,
        v1::forget::forget,
        memories::list::list,
        v1::store::store_episodic,
        v1::store::store_profile,
        profile::list::list,
        profile::delete::delete,
        profile::queue::queue,
        profile::retry::retry,
        memories::batch::store_batch,
        v1::search::search,
        v1::search::search_episodic,
        v1::search::search_profile,
        memories::get::get,
        memories::delete::delete,
        v1::sessions::sessions,
        v1::sessions::sessions_of_user,
        v1::sessions::sessions_of_group,
        v1::sessions::sessions_of_agent,
        erasure::session::delete,
        erasure::user::delete,
    ]
}

/// The routes with OpenAI's shapes.
fn for_openai() -> OpenApiRouter<App> {
    guarded![openai::completions::completions, openai::models::models]
}

/// The OpenAPI document of all routes, as JSON.
pub fn openapi_json() -> String {
    // The document consists of texts and maps with text keys, which always become JSON.
    document().to_pretty_json().unwrap_or_default()
}

fn document() -> OpenApi {
    let mut guarded = for_operators().into_openapi();
    guarded.merge(for_key_holders().into_openapi());
    guarded.merge(for_memories().into_openapi());
    guarded.merge(for_openai().into_openapi());
    add_shared_errors(&mut guarded, &SHARED);
    let mut document = Description::openapi();
    document.merge(for_anyone().into_openapi());
    document.merge(guarded);
    close_schemas(
        &mut document,
        &[
            ForgetSession::name(),
            DeleteSession::name(),
            DeleteUser::name(),
            NewKey::name(),
            SpaceChanges::name(),
        ],
    );
    document
}

/// What the document says in addition to its routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "MemCloud",
        description = "A lasting memory for AI agents.\n\nEvery route of memories and sessions below `/v1` exists once more below \
            `/memmachine/v1`, where searches always answer in the shape of MemMachine's first API. Every error is JSON and carries a \
            stable `code` and a `hint`; on the routes with OpenAI's shapes it has OpenAI's shape.\n\nDeletions refuse fields of the \
            body and parameters of the query string that they do not have. Other operations ignore them, and name them in the header \
            `x-memcloud-unknown-fields` of the answer; `/health` and the routes with OpenAI's shapes do not name them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(memcloud_api::Error)),
    modifiers(&BearerKey),
)]
struct Description;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut OpenApi) {
        let description =
            "One of the instance's keys. An instance without keys serves callers on its own machine only.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        describe_shared_errors(components, &SHARED);
    }
}
