//! Who may call: the holder of a key, or any program on this machine where the instance has no keys.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use memcloud_domain::Caller;
use memcloud_http::{NotLocal, from_this_machine, note_caller};

use crate::App;
use crate::error::ApiError;
use crate::keys::Stranger;

/// Passes a request on with its caller, to every route but liveness.
pub(crate) async fn callers(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = match app.keys.caller(bearer(request.headers())).await {
        Err(Stranger::Keyless) => from_this_machine(&request).map(|()| Caller::local()).map_err(refusal),
        // While the engine is down, whether the instance has keys is unknown. Its operator must still learn the reason.
        Err(Stranger::Unreadable(_)) if is_health(&request) && from_this_machine(&request).is_ok() => {
            Ok(Caller::local())
        }
        caller => caller.map_err(ApiError::from),
    };
    match caller {
        Ok(caller) => {
            note_caller(caller.id());
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

fn is_health(request: &Request) -> bool {
    matches!(request.uri().path(), "/health" | "/health/ready")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn refusal(reason: NotLocal) -> ApiError {
    match reason {
        NotLocal::Peer => ApiError::unauthorized(),
        NotLocal::Host => ApiError::forbidden_host(),
        NotLocal::Origin => ApiError::forbidden_origin(),
    }
}
