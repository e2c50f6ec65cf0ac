//! Rights in the signatures of handlers.
//!
//! Every handler but liveness takes an [`Allowed`] first, which names the rights that its caller must have and is the
//! caller. [`guarded!`](crate::guarded) makes a route of such a handler, and of no other, and writes the rights into the document.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use memcloud_domain::{Caller, Right};
use utoipa::openapi::SecurityRequirement;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::ApiError;

/// The key or token that the headers carry as `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The caller of a handler that needs the rights of `N`.
pub struct Allowed<N> {
    caller: Caller,
    needs: PhantomData<N>,
}

/// How a server whose callers show no keys refuses one that lacks a right. Its guard leaves this on requests.
#[derive(Clone, Copy)]
pub struct OnMissingRight(pub fn(Right) -> ApiError);

/// Rights that a handler needs, all of them.
pub trait Needs {
    /// Each of them.
    const RIGHTS: &'static [Right];
}

/// The right to search, list and read.
pub enum Read {}

/// The right to store and to delete.
pub enum Write {}

/// The right to manage keys and spaces.
pub enum Admin {}

/// Both: chats recall what is stored, and store.
pub enum ReadAndWrite {}

impl Needs for Read {
    const RIGHTS: &'static [Right] = &[Right::Read];
}

impl Needs for Write {
    const RIGHTS: &'static [Right] = &[Right::Write];
}

impl Needs for Admin {
    const RIGHTS: &'static [Right] = &[Right::Admin];
}

impl Needs for ReadAndWrite {
    const RIGHTS: &'static [Right] = &[Right::Read, Right::Write];
}

impl<N> Deref for Allowed<N> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<S: Sync, N: Needs> FromRequestParts<S> for Allowed<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // The guard leaves a caller on every request that it passes on. Without one the request is refused.
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(ApiError::no_key)?;
        match N::RIGHTS.iter().find(|right| !caller.may(**right)) {
            Some(missing) => {
                let of_server = parts.extensions.get::<OnMissingRight>();
                let refuse: fn(Right) -> ApiError =
                    of_server.map_or(ApiError::forbidden_right, |of_server| of_server.0);
                Err(refuse(*missing))
            }
            None => Ok(Self { caller, needs: PhantomData }),
        }
    }
}

/// A handler whose first argument is an [`Allowed`].
pub trait NamesRights<Arguments> {
    /// The rights that it needs.
    const RIGHTS: &'static [Right];
}

macro_rules! handlers {
    ($(($($argument:ident)*))*) => {$(
        impl<F, Answer, N: Needs, $($argument),*> NamesRights<(N, $($argument,)*)> for F
        where
            F: Fn(Allowed<N>, $($argument),*) -> Answer,
        {
            const RIGHTS: &'static [Right] = N::RIGHTS;
        }
    )*};
}
handlers! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) }

/// Writes the rights that a handler names into the description of its route.
pub fn document<S, H, Arguments>(mut route: UtoipaMethodRouter<S>, _handler: H) -> UtoipaMethodRouter<S>
where
    H: NamesRights<Arguments>,
{
    for item in route.1.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let roles = H::RIGHTS.iter().map(|right| right.as_str());
            operation.security = Some(vec![SecurityRequirement::new("bearer", roles)]);
        }
    }
    route
}

/// A router of these handlers, each of which names the rights that it needs.
#[macro_export]
macro_rules! guarded {
    ($($handler:path),+ $(,)?) => {
        utoipa_axum::router::OpenApiRouter::new()
            $(.routes($crate::document(utoipa_axum::routes!($handler), $handler)))+
    };
}
