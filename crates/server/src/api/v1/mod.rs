//! The first API: the wire of MemMachine's v1, in the rules of its last version, and what we add to it.

use axum::extract::FromRef;
use utoipa_axum::router::OpenApiRouter;

use crate::App;

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
}
