//! The whole route table, by who may call, and the document that is made of it.

use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use memcloud_api::console::{
    Clone as CloneInstance, Connection, DeleteInstance, Llm, NewInstance, NewOrganization, NewPassword,
    NewSignInLink, NewToken, NewUser, PasswordSignIn, Upgrade, UserChanges,
};
use memcloud_api::native::NewKey;
use memcloud_domain::Error;
use memcloud_http::{
    ApiError, Counting, Dialect, Operations, SharedError, add_shared_errors, close_schemas, count,
    describe_shared_errors, guarded, served,
};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    audit, doctor, instances, keys, leftovers, live, openapi as openapi_document, operations, organizations,
    plan, sign_in, tokens, users,
};
use crate::{App, guard, hint, sites};

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);

/// All routes of a console.
pub fn router(app: App) -> Router {
    let metrics = Arc::clone(&app.metrics);
    let counting = Counting {
        account: Arc::clone(&app.in_flight),
        busy: || ApiError::from(Error::Busy).into_response(),
    };
    let for_users = Router::from(for_users())
        .layer(Extension(openapi_document::Document(&DOCUMENT)))
        .fallback(async || no_route())
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(app.clone(), guard::users));
    let to_sign_in = Router::from(to_sign_in()).method_not_allowed_fallback(no_method);
    let guarded = for_users
        .merge(to_sign_in)
        .layer(from_fn_with_state(app.clone(), sites::sites))
        .layer(from_fn_with_state(counting, counted))
        .with_state(app);
    let open = Router::from(for_anyone()).method_not_allowed_fallback(no_method);
    served([(Dialect::WithoutInput, open.merge(guarded))], metrics, hint::of)
}

async fn counted(State(counting): State<Counting>, request: Request, next: Next) -> Response {
    count(&counting, request, |request| next.run(request)).await
}

fn no_route() -> ApiError {
    ApiError::no_route().with_hint("GET /api/openapi.json lists every route")
}

async fn no_method() -> ApiError {
    ApiError::no_method()
}

/// The routes that need no token: no more than whether the process lives.
fn for_anyone() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(live::live))
}

/// The routes that exchange a password or a link for a token.
fn to_sign_in() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sign_in::password::sign_in)).routes(routes!(sign_in::link::follow))
}

/// The routes that need a token.
fn for_users() -> OpenApiRouter<App> {
    guarded![
        instances::create::create,
        instances::list::list,
        instances::get::get,
        instances::delete::delete,
        instances::start::start,
        instances::stop::stop,
        instances::restart::restart,
        instances::upgrade::upgrade,
        instances::verify::verify,
        instances::clone::clone,
        instances::logs::logs,
        keys::create::create,
        keys::list::list,
        keys::revoke::revoke,
        plan::plan,
        operations::list::list,
        operations::get::get,
        operations::events::events,
        operations::cancel::cancel,
        operations::retry::retry,
        leftovers::leftovers,
        doctor::doctor,
        users::create::create,
        users::list::list,
        users::change::change,
        users::delete::delete,
        organizations::create,
        sign_in::change_password::change,
        tokens::create::create,
        tokens::list::list,
        tokens::revoke::revoke,
        sign_in::create_link::create,
        sign_in::end::end,
        audit::audit,
        openapi_document::openapi,
    ]
}

/// The errors that operations share, in addition to those of HTTP itself.
const SHARED: [SharedError; 4] = [
    SharedError {
        status: "401",
        name: "Unauthorized",
        description: "There is no token, or it is unknown, revoked or expired.",
        of: Operations::All,
    },
    SharedError {
        status: "403",
        name: "Forbidden",
        description: "The token lacks the scope, or its user's role the right; or a page of another site sent the request.",
        of: Operations::All,
    },
    SharedError {
        status: "503",
        name: "Unavailable",
        description: "The console cannot serve now; `Retry-After` says when to ask again.",
        of: Operations::All,
    },
    SharedError {
        status: "507",
        name: "StorageFull",
        description: "The disk is full; nothing was changed.",
        of: Operations::All,
    },
];

/// The OpenAPI document of all routes, as JSON.
pub fn openapi_json() -> String {
    // The document consists of texts and maps with text keys, which always become JSON.
    document().to_pretty_json().unwrap_or_default()
}

fn document() -> OpenApi {
    let mut with_errors = for_users().into_openapi();
    with_errors.merge(to_sign_in().into_openapi());
    add_shared_errors(&mut with_errors, &SHARED);
    let mut document = Description::openapi();
    document.merge(for_anyone().into_openapi());
    document.merge(with_errors);
    // Every request refuses fields that it does not have.
    close_schemas(
        &mut document,
        &[
            NewInstance::name(),
            Connection::name(),
            Llm::name(),
            CloneInstance::name(),
            Upgrade::name(),
            DeleteInstance::name(),
            NewKey::name(),
            NewUser::name(),
            UserChanges::name(),
            PasswordSignIn::name(),
            NewPassword::name(),
            NewOrganization::name(),
            NewSignInLink::name(),
            NewToken::name(),
        ],
    );
    document
}

/// What the document says in addition to its routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "MemCloud console",
        description = "Creates, verifies, watches and removes instances of MemCloud.\n\nWhat takes time is an operation: the request \
            that begins it answers 202 with the operation, whose events tell how it goes on. An instance is `running` only after \
            its verification has passed.\n\nA deploy function `deploy(neo4j_connection_string, use_managed_neo4j, openai_api_key)` is \
            `POST /api/instances`: `neo4j_connection_string` is `neo4j.connection_string`; `openai_api_key` is `llm.api_key`; \
            `use_managed_neo4j` will be the target `google`, which makes the database too. Today the target is `local`, and \
            `topology` with `neo4j` or `postgres` names databases that are there, or `embedded` needs none.\n\nEvery error is JSON \
            and carries a stable `code` and a `hint`. No secret is in an answer, except once in the one to the request that makes it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(memcloud_api::Error)),
    modifiers(&BearerToken),
)]
struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut OpenApi) {
        let description = "A token of a user. A browser that signed in sends its session's as the cookie `memcloud_session`.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        describe_shared_errors(components, &SHARED);
    }
}
