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

use crate::App;
use crate::allowed::guarded;

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
    guarded![
        store::store,
        forget::forget,
        list::page,
        store::store_episodic,
        store::store_profile,
        facts::list,
        facts::delete,
        queue::read,
        queue::retry,
        batch::store_batch,
        search::search,
        search::search_episodic,
        search::search_profile,
        memory::read,
        memory::delete,
        sessions::sessions,
        sessions::sessions_of_user,
        sessions::sessions_of_group,
        sessions::sessions_of_agent,
    ]
}
