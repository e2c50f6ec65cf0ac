//! The body of a request: within its limit, within its time, well-formed, and of its type.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::header;
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes};
use memcloud_api::{Deserr, Place, Problem, Problems, unknown_field};
use memcloud_domain::{InFlight, Reservation};
use memcloud_tasks::{INLINE_SCANNED_BYTES, step_aside};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::ApiError;
use crate::body_size::BodySize;

/// What the body of a request may take.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// Its most bytes.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub timeout: Duration,
    /// What the memory of all requests is counted in.
    pub account: Arc<InFlight>,
}

/// The fields of a request's body that its type does not have. A layer that names them in the answer adds this to the extensions
/// of the request; without it no one looks for them.
#[derive(Clone, Debug, Default)]
pub struct UnknownFields(Arc<OnceLock<Vec<Place>>>);

impl UnknownFields {
    /// Their places; none before the body was read.
    pub fn places(&self) -> &[Place] {
        self.0.get().map_or(&[], Vec::as_slice)
    }
}

/// A body, read as its type. Its content type does not matter: `curl -d` sends one that does not fit.
///
/// Only a body without any problem is handed out, by [`checked`](Self::checked).
pub struct TypedBody<T> {
    value: Option<T>,
    problems: Problems,
    bytes: Bytes,
    /// The body with neutral values in place of those that cannot be read, where there are any.
    readable: Option<Value>,
}

impl<T: DeserializeOwned> TypedBody<T> {
    /// The same body, in which a field that its type does not have is a problem. For a request that does lasting harm when
    /// it is misread.
    #[must_use]
    pub fn known_fields_only(mut self) -> Self {
        let unknown = step_aside(is_large(&self.bytes), || match &self.readable {
            None => memcloud_api::unknown_fields::<T>(&self.bytes),
            Some(body) => memcloud_api::unknown_fields::<T>(body.to_string().as_bytes()),
        });
        self.problems.extend(unknown.into_iter().map(unknown_field));
        self
    }
}

impl<T> TypedBody<T> {
    /// What `check` makes of the body. It notes the rules that the body breaks, and the request is refused with all
    /// problems together: those, and the values that could not be read. For such a value `check` is given a neutral one.
    pub fn checked<U>(self, check: impl FnOnce(T, &mut Problems) -> Option<U>) -> Result<U, ApiError> {
        let Self { value, problems, bytes, .. } = self;
        step_aside(is_large(&bytes), || {
            let made = problems.and_none_in(|problems| check(value?, problems));
            made.map_err(|problems| problems.showing(&json(&bytes)).into())
        })
    }
}

/// The JSON of a body that was read before, to show its wrong values.
fn json(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

impl<S, T> FromRequest<S> for TypedBody<T>
where
    BodyLimits: FromRef<S>,
    S: Send + Sync,
    T: Deserr<Problems> + DeserializeOwned + Send + 'static,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let unknown = request.extensions().get::<UnknownFields>().cloned();
        let (bytes, counted) = received(request, &BodyLimits::from_ref(state)).await?;
        if !is_large(&bytes) {
            return Self::parsed(bytes, &counted, unknown);
        }
        // A thread that serves others must not be kept by a large body.
        let parsed =
            memcloud_tasks::compute("reading a body", move || Self::parsed(bytes, &counted, unknown)).await;
        parsed.unwrap_or_else(|_| Err(ApiError::defect()))
    }
}

impl<T: Deserr<Problems> + DeserializeOwned> TypedBody<T> {
    fn parsed(bytes: Bytes, counted: &Reservation, unknown: Option<UnknownFields>) -> Result<Self, ApiError> {
        let size = BodySize::of(&bytes);
        size.check()?;
        // The bytes themselves were counted as they arrived.
        counted.take(size.cost().saturating_sub(bytes.len()))?;
        if let Some(UnknownFields(places)) = unknown {
            // Before the body is parsed, so that it is not in memory twice.
            places.get_or_init(|| memcloud_api::unknown_fields::<T>(&bytes));
        }
        let body = parse(&bytes).map_err(|error| unreadable(&error, &bytes))?;
        let (value, problems, readable) = match memcloud_api::read(body) {
            Ok(value) => (Some(value), Problems::default(), None),
            Err(problems) => {
                let (value, readable) = memcloud_api::read_rest(json(&bytes), &problems).unzip();
                (value, problems, readable)
            }
        };
        Ok(Self { value, problems, bytes, readable })
    }
}

/// The body of a request that has none. A caller that sends one means something that would not happen.
pub struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody
where
    BodyLimits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (bytes, _) = received(request, &BodyLimits::from_ref(state)).await?;
        match bytes.trim_ascii() {
            // Some clients always send something.
            b"" | b"{}" | b"null" => Ok(Self),
            _ => Err(unknown_field(Place::body()).into()),
        }
    }
}

/// The bytes of a body that has arrived in time, and what they are counted in.
async fn received(request: Request, limits: &BodyLimits) -> Result<(Bytes, Arc<Reservation>), ApiError> {
    let (parts, body) = request.into_parts();
    let encoding = parts.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::encoded_body());
    }
    // Without the layer that counts, as in a test of one handler, the body alone is counted.
    let counted = parts.extensions.get().map(Arc::clone);
    let counted = counted.unwrap_or_else(|| Arc::new(limits.account.reservation()));
    let reading = read(body, limits.bytes, &counted);
    let bytes =
        tokio::time::timeout(limits.timeout, reading).await.map_err(|_| ApiError::body_too_slow())??;
    Ok((bytes, counted))
}

/// Whether a body takes longer to read than a switch to another thread and back.
fn is_large(body: &Bytes) -> bool {
    body.len() > INLINE_SCANNED_BYTES
}

/// Reads a body, and counts each byte before it is kept.
async fn read(mut body: Body, limit: usize, counted: &Reservation) -> Result<Bytes, ApiError> {
    // Reading the first byte would tell a client that waits for `100 Continue` to send the whole body.
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(ApiError::body_too_large(limit));
    }
    let mut bytes = BytesMut::with_capacity((announced as usize).min(INLINE_SCANNED_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::body_broken())?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(ApiError::body_too_large(limit));
        }
        counted.take(data.len())?;
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}

fn unreadable(error: &serde_json::Error, bytes: &[u8]) -> ApiError {
    let at = Place::body();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let missing = Problem::new(at, "missing", "Field required", "missing_field");
        return ApiError::from(missing).with_hint("send a JSON object");
    }
    let beginning = Value::from(String::from_utf8_lossy(&bytes[..bytes.len().min(800)]));
    let problem = Problem::new(at, "json_invalid", format!("JSON decode error: {error}"), "invalid_json");
    problem.showing(&beginning).into()
}

/// Reads JSON, and refuses an object that names a field twice: the meaning of such a request is ambiguous.
fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Unambiguous.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the field {key:?} is there twice")));
            }
            map.insert(key, fields.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn ambiguous_or_invalid_json_is_refused() {
        for wrong in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"b":1,"b":2}]"#,
            r#"{"a":1e999}"#,
            r#"{"a":NaN}"#,
            r#""\ud800""#,
            "{} {}",
            "{",
            "",
            "\u{feff}{}",
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse(b"\"\xff\"").is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert_eq!(
            parse(br#"{"a":[1,-2,0.5,"x",null,true]}"#).unwrap(),
            json!({"a": [1, -2, 0.5, "x", null, true]})
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_every_json_as_it_is(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
        }
    }
}
