//! Who may call: the holder of a key, or any program on this machine where the instance has no keys.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use memcloud_domain::Caller;
use memcloud_http::{ApiError, NotLocal, Peer, bearer, from_this_machine, has_room, note_caller};

use crate::App;
use crate::keys::Stranger;

/// The guard of a group of routes.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) app: App,
    /// Whether this machine is served while the keys cannot be read, and with them whether the instance has any: routes
    /// that tell an operator the reason.
    pub(crate) while_keys_unreadable: bool,
}

/// The layer of routes on which nothing else is done.
pub(crate) async fn callers(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    admit(&guard, request, |request| next.run(request)).await
}

/// Passes a request on with its caller.
pub(crate) async fn admit<A>(
    guard: &Guard,
    mut request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response
where
    A: Future<Output = Response>,
{
    let caller = guard.app.keys.caller(bearer(request.headers())).await;
    if let Err(stranger) = &caller {
        let address = request.extensions().get().map(|Peer(address)| address.ip());
        guard.app.keys.note_refusal(stranger, address);
    }
    let caller = match caller {
        Err(Stranger::Keyless) => from_this_machine(&request).map(|()| Caller::local()).map_err(refusal),
        Err(Stranger::Unreadable(_))
            if guard.while_keys_unreadable && from_this_machine(&request).is_ok() =>
        {
            Ok(Caller::local())
        }
        caller => caller.map_err(ApiError::from),
    };
    match caller {
        Ok(caller) if !has_room(&request, caller != Caller::local()) => ApiError::no_room().into_response(),
        Ok(caller) => {
            note_caller(caller.id());
            request.extensions_mut().insert(caller);
            answer(request).await
        }
        Err(error) => error.into_response(),
    }
}

fn refusal(reason: NotLocal) -> ApiError {
    match reason {
        NotLocal::Peer => ApiError::no_key(),
        NotLocal::Host => {
            let detail = "without an API key this instance answers to the names of this machine only";
            ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_host")
        }
        NotLocal::Origin => {
            let detail = "without an API key this instance does not answer to pages of other sites";
            ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_origin")
        }
        NotLocal::Proxy => {
            let detail = "without an API key this instance does not answer what a proxy passes on";
            ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_proxy")
        }
    }
}

impl From<Stranger> for ApiError {
    fn from(stranger: Stranger) -> Self {
        match stranger {
            Stranger::Missing | Stranger::Keyless => Self::no_key(),
            Stranger::Unknown => Self::unauthorized("this key is not known", "unauthorized"),
            Stranger::Revoked => Self::unauthorized("this key was revoked", "key_revoked"),
            Stranger::Expired => Self::unauthorized("this key has expired", "key_expired"),
            Stranger::Unreadable(error) => error.into(),
        }
    }
}
