//! The whole route table, by who may call, and the document that is made of it.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response_with_state};
use axum::response::IntoResponse;
use memcloud_domain::Error;
use memcloud_http::{ApiError, Counting, Dialect, Hints, count, guarded, served, write_errors};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::chat::native;
use crate::api::health::{live, ready, summary};
use crate::api::memmachine::v1::{self, Shapes, V1};
use crate::api::responses::{add_shared, describe_shared};
use crate::api::{keys, memories, metrics, openai, openapi as openapi_document, profile, spaces, usage};
use crate::guard::Guard;
use crate::{App, guard, hint};

/// Where unchanged clients of the first API point their base URL when they must get its own answer shapes.
const COMPATIBLE: &str = "/memmachine";

/// All routes of an instance.
pub fn router(app: App) -> Router {
    let metrics = Arc::clone(app.measures.metrics());
    let (open, _) = for_anyone().split_for_parts();
    let (health, _) = for_operators().split_for_parts();
    let (held, _) = for_key_holders().split_for_parts();
    let (chat, _) = for_chat().split_for_parts();
    let (openai, _) = for_openai().split_for_parts();
    let in_openai = map_response_with_state((Dialect::OpenAi, hint::of as Hints), write_errors);
    let (plan, _) = for_memories().split_for_parts();
    let compatible = plan.clone().with_state(V1 { app: app.clone(), shapes: Shapes::Original });
    let counting = Counting {
        account: Arc::clone(app.memory.in_flight()),
        busy: || ApiError::from(Error::Busy).into_response(),
    };
    let guard = Guard { app: app.clone(), while_keys_unreadable: false };
    let guarded = held
        .with_state(app.clone())
        .merge(chat.with_state(app.clone()))
        .merge(openai.with_state(app.clone()).layer(in_openai))
        .merge(plan.with_state(V1 { app: app.clone(), shapes: Shapes::AsAsked }))
        .nest(COMPATIBLE, compatible)
        .fallback(async || ApiError::no_route())
        .method_not_allowed_fallback(async || ApiError::no_method())
        .layer(from_fn_with_state(guard, guard::callers))
        .layer(from_fn_with_state(counting, count));
    let health = health.with_state(app.clone()).method_not_allowed_fallback(async || ApiError::no_method());
    let open = open.method_not_allowed_fallback(async || ApiError::no_method());
    let guard = Guard { app, while_keys_unreadable: true };
    let health = health.layer(from_fn_with_state(guard, guard::callers));
    served(open.merge(health).merge(guarded), metrics, Dialect::FastApi, hint::of)
}

/// The routes that need no key: no more than whether the process lives.
fn for_anyone() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(live::live))
}

/// The routes that say what does not work. They answer this machine even while keys cannot be read.
fn for_operators() -> OpenApiRouter<App> {
    guarded![summary::health, ready::ready]
}

/// The routes beside the memory itself that need a key, where the instance has one.
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
    ]
}

/// The routes of the language model.
fn for_chat() -> OpenApiRouter<App> {
    guarded![native::chat, usage::usage]
}

/// Those with OpenAI's shapes.
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
    guarded.merge(for_chat().into_openapi());
    guarded.merge(for_openai().into_openapi());
    add_shared(&mut guarded);
    let mut document = Description::openapi();
    document.merge(for_anyone().into_openapi());
    document.merge(guarded);
    document
}

/// What the document says beside its routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "MemCloud",
        description = "A lasting memory for AI agents.\n\nEvery route of memories and sessions below `/v1` exists once more below \
            `/memmachine/v1`, where searches always answer in the shape of MemMachine's first API. Every error is JSON and carries a \
            stable `code` and a `hint`.",
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
        describe_shared(components);
    }
}
