//! Embedding models behind endpoints.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use memcloud_domain::Error;
use memcloud_ports::{Embedder, ModelError, RefusalKind};
use serde::Serialize;

use crate::completion;
use crate::endpoint::Endpoint;
use crate::refusal::Requested;
use crate::vectors;

/// The most texts, and roughly the most bytes of text, in one request. An endpoint that refuses this many gets fewer.
const REQUEST_TEXTS: usize = 96;
const REQUEST_BYTES: usize = 200_000;

/// How much of a text is sent, in characters: about eight thousand tokens of anything but the densest scripts.
const TEXT_CHARS: usize = 24_000;

/// A shorter text is never too long: the smallest models read 256 tokens, about this many characters of the densest
/// scripts.
const LEAST_CHARS: usize = 100;

/// The longest `Retry-After` that is honored.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const RETRIES: usize = 2;

/// The text that is embedded to test the endpoint.
const TRIAL: &str = "What is said is kept.";

/// An [`Embedder`] behind an endpoint. Its vector space is `remote/MODEL/DIMENSIONS`: vectors do not depend on the
/// endpoint's address.
#[derive(Debug)]
pub struct RemoteEmbedder {
    endpoint: Endpoint,
    model: String,
    dimensions: usize,
    space: String,
    /// Whether requests must ask for the dimensions. Not every endpoint accepts that.
    asks_dimensions: AtomicBool,
}

/// The texts of one request.
struct Piece {
    texts: Range<usize>,
    /// How much of each is sent, in characters.
    chars: usize,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

impl RemoteEmbedder {
    /// Connects by embedding one text: learns the dimensions of the model, or tests that it has the wanted ones.
    pub async fn connect(
        endpoint: Endpoint,
        model: impl Into<String>,
        dimensions: Option<usize>,
    ) -> Result<Self, Error> {
        let mut embedder = Self::assume(endpoint, model, dimensions.unwrap_or_default());
        if dimensions.is_some() {
            embedder.embed_query(TRIAL).await?;
        } else {
            let learned = embedder.ask(&[TRIAL], None).await.map_err(error)?;
            let dimensions = learned.first().map(Vec::len).unwrap_or_default();
            embedder = Self::assume(embedder.endpoint, embedder.model, dimensions);
        }
        Ok(embedder)
    }

    /// Assumes that the model has these dimensions, so that a server can start while the endpoint is down.
    pub fn assume(endpoint: Endpoint, model: impl Into<String>, dimensions: usize) -> Self {
        let model = model.into();
        let space = format!("remote/{model}/{dimensions}");
        Self { endpoint, model, dimensions, space, asks_dimensions: AtomicBool::new(false) }
    }

    /// Its endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Embeds any number of texts of any length.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut waiting = pieces(texts);
        // The first piece is the last on the stack.
        waiting.reverse();
        let mut vectors = Vec::with_capacity(texts.len());
        while let Some(piece) = waiting.pop() {
            let sent: Vec<&str> =
                texts[piece.texts.clone()].iter().map(|text| cut(text, piece.chars)).collect();
            match self.ask_dimensions(&sent).await {
                Ok(some) => vectors.extend(some),
                Err(ModelError::Refused(refusal)) if refusal.kind == RefusalKind::ContextOverflow => {
                    match piece.less(&sent) {
                        Some(less) => waiting.extend(less.into_iter().rev()),
                        None => return Err(ModelError::Refused(refusal)),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(vectors)
    }

    /// Vectors with the right dimensions. When the model's own are others, asks for the right ones from then on.
    async fn ask_dimensions(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let wrong =
            |vectors: &[Vec<f32>]| vectors.iter().map(Vec::len).find(|&length| length != self.dimensions);
        let asks = self.asks_dimensions.load(Ordering::Relaxed);
        let mut vectors = self.ask(texts, asks.then_some(self.dimensions)).await?;
        let Some(length) = wrong(&vectors) else { return Ok(vectors) };
        let refuse = |length| ModelError::Unusable {
            what: format!("vectors of length {length} where {} is wanted", self.dimensions),
        };
        if asks {
            return Err(refuse(length));
        }
        vectors = match self.ask(texts, Some(self.dimensions)).await {
            // The endpoint has only its own dimensions.
            Err(ModelError::Refused(refusal)) if refusal.kind == RefusalKind::BadRequest => {
                return Err(refuse(length));
            }
            answered => answered?,
        };
        if let Some(length) = wrong(&vectors) {
            return Err(refuse(length));
        }
        self.asks_dimensions.store(true, Ordering::Relaxed);
        Ok(vectors)
    }

    /// Asks up to three times. An endpoint that did not answer in time is not asked again.
    async fn ask(&self, texts: &[&str], dimensions: Option<usize>) -> Result<Vec<Vec<f32>>, ModelError> {
        let pauses =
            ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(RETRIES).with_jitter();
        let attempt = || self.ask_once(texts, dimensions);
        attempt
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(|error| is_transient(error) && !matches!(error, ModelError::Silent(_)))
            .adjust(|error, pause| {
                let ModelError::Refused(refusal) = error else { return pause };
                let asked = refusal.retry_after.unwrap_or_default();
                pause.filter(|_| asked <= LONGEST_WAIT).map(|pause| pause.max(asked))
            })
            .await
    }

    async fn ask_once(&self, texts: &[&str], dimensions: Option<usize>) -> Result<Vec<Vec<f32>>, ModelError> {
        let request = Request { model: &self.model, input: texts, dimensions };
        let requested = Requested { embeddings: true, ..Requested::default() };
        let mut reading = self.endpoint.post(&["embeddings"], &request, None, requested).await?;
        let kind = reading.content_type();
        let raw = reading.whole().await?;
        vectors::read(completion::object(&reading.refusals, kind, &raw)?, texts.len())
    }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        let mut vectors = self.embed(&[text]).await.map_err(error)?;
        vectors.pop().ok_or_else(|| Error::Embedding("the endpoint returned no vector".into()))
    }

    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.embed(&texts).await.map_err(error)
    }

    fn space(&self) -> &str {
        &self.space
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }
}

impl Piece {
    /// Two halves of it, or half of its only text; `None` when that text is too short to be too long.
    fn less(&self, sent: &[&str]) -> Option<Vec<Self>> {
        let Range { start, end } = self.texts;
        if let [text] = sent {
            let chars = text.chars().count() / 2;
            return (chars >= LEAST_CHARS).then(|| vec![Self { texts: start..end, chars }]);
        }
        let middle = start.midpoint(end);
        Some([start..middle, middle..end].map(|texts| Self { texts, chars: self.chars }).into())
    }
}

/// Splits texts into requests that are not too large.
fn pieces(texts: &[&str]) -> Vec<Piece> {
    let mut pieces = Vec::<Piece>::new();
    let mut bytes = 0;
    for (place, text) in texts.iter().enumerate() {
        let more = cut(text, TEXT_CHARS).len();
        match pieces.last_mut() {
            Some(piece) if piece.texts.len() < REQUEST_TEXTS && bytes + more <= REQUEST_BYTES => {
                piece.texts.end = place + 1;
                bytes += more;
            }
            _ => {
                pieces.push(Piece { texts: place..place + 1, chars: TEXT_CHARS });
                bytes = more;
            }
        }
    }
    pieces
}

/// The beginning of a text.
fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

/// Whether the same request may succeed a little later.
fn is_transient(error: &ModelError) -> bool {
    match error {
        ModelError::Unreachable(_) | ModelError::Silent(_) | ModelError::Cut(_) => true,
        ModelError::Refused(refusal) => refusal.kind.is_transient(),
        _ => false,
    }
}

fn error(error: ModelError) -> Error {
    let out_of_quota =
        matches!(&error, ModelError::Refused(refusal) if refusal.kind == RefusalKind::QuotaExhausted);
    if out_of_quota || is_transient(&error) {
        Error::EmbeddingUnavailable(error.into())
    } else {
        Error::Embedding(error.into())
    }
}
