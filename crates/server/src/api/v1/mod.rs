//! The first API: the wire of MemMachine's v1, in the rules of its last version, and what we add to it.

mod batch;
mod episode;
mod fact;
mod facts;
mod forget;
mod ingest;
mod list;
mod memory;
mod queue;
mod search;
mod session;
mod sessions;
mod shape;
mod store;

use axum::extract::FromRef;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;

pub(crate) use session::{NamedSession, SessionBody, SessionHeaders};

/// What the routes of the first API share.
#[derive(Clone)]
pub(crate) struct V1 {
    app: App,
    shapes: Shapes,
}

/// In which shapes searches answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shapes {
    /// In the one that fits the request.
    AsAsked,
    /// Always in MemMachine's.
    Original,
}

impl V1 {
    pub(crate) fn new(app: App, shapes: Shapes) -> Self {
        Self { app, shapes }
    }
}

impl FromRef<V1> for App {
    fn from_ref(v1: &V1) -> Self {
        v1.app.clone()
    }
}

/// All its routes. Each needs a key, where the instance has one.
pub(crate) fn routes() -> OpenApiRouter<V1> {
    OpenApiRouter::new()
        .routes(routes!(store::store, forget::forget, list::page))
        .routes(routes!(store::store_episodic))
        .routes(routes!(store::store_profile, facts::list))
        .routes(routes!(facts::delete))
        .routes(routes!(queue::read))
        .routes(routes!(queue::retry))
        .routes(routes!(batch::store_batch))
        .routes(routes!(search::search))
        .routes(routes!(search::search_episodic))
        .routes(routes!(search::search_profile))
        .routes(routes!(memory::read, memory::delete))
        .routes(routes!(sessions::sessions))
        .routes(routes!(sessions::sessions_of_user))
        .routes(routes!(sessions::sessions_of_group))
        .routes(routes!(sessions::sessions_of_agent))
}
