//! An embedding model behind an endpoint.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use memcloud_domain::Error;
use memcloud_ports::Embedder;
use serde::Serialize;

use crate::completion;
use crate::endpoint::Endpoint;
use crate::error::EndpointError;
use crate::vectors;

/// The most texts, and about the most bytes of text, in one request. Endpoints that take fewer say so and get fewer.
const REQUEST_TEXTS: usize = 96;
const REQUEST_BYTES: usize = 200_000;

/// How much of a text is sent, in characters: about eight thousand tokens of anything but the densest scripts.
const TEXT_CHARS: usize = 24_000;

/// A text that is refused at this length is not too long: the smallest models read 256 tokens, which are about this
/// much of the densest scripts.
const LEAST_CHARS: usize = 100;

/// The longest wait that an endpoint may ask for; whoever asks for more has failed.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const AGAIN: usize = 2;

/// What is embedded to see whether the endpoint does.
const TRIAL: &str = "What is said is kept.";

/// An [`Embedder`] behind an endpoint. Its vector space is `remote/MODEL/DIMENSIONS`: where the endpoint is does not
/// matter to the vectors.
#[derive(Debug)]
pub struct RemoteEmbedder {
    endpoint: Endpoint,
    model: String,
    dimensions: usize,
    space: String,
    /// Whether the endpoint must be told how long vectors are to be. Not every endpoint may be told.
    told: AtomicBool,
}

/// Texts of one request.
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
    /// Asks the endpoint for one embedding, to learn how long its vectors are, or to see that they can be as long as
    /// wanted.
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

    /// Takes it as given that the endpoint can make vectors of this length, so that a server can start while it does
    /// not answer.
    pub fn assume(endpoint: Endpoint, model: impl Into<String>, dimensions: usize) -> Self {
        let model = model.into();
        let space = format!("remote/{model}/{dimensions}");
        Self { endpoint, model, dimensions, space, told: AtomicBool::new(false) }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The vectors of these texts, each of which may be of any length and all of which may be many.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EndpointError> {
        let mut waiting = pieces(texts);
        // The first is worked on first.
        waiting.reverse();
        let mut vectors = Vec::with_capacity(texts.len());
        while let Some(piece) = waiting.pop() {
            let sent: Vec<&str> =
                texts[piece.texts.clone()].iter().map(|text| cut(text, piece.chars)).collect();
            match self.ask_for_length(&sent).await {
                Ok(some) => vectors.extend(some),
                Err(EndpointError::Refused(refusal)) if vectors::too_much(&refusal) => {
                    match piece.less(&sent) {
                        Some(less) => waiting.extend(less.into_iter().rev()),
                        None => return Err(EndpointError::Refused(refusal)),
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(vectors)
    }

    /// Vectors of the length wanted. If they have another, the endpoint is told which, and from then on always.
    async fn ask_for_length(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EndpointError> {
        let wrong =
            |vectors: &[Vec<f32>]| vectors.iter().map(Vec::len).find(|&length| length != self.dimensions);
        let told = self.told.load(Ordering::Relaxed);
        let mut vectors = self.ask(texts, told.then_some(self.dimensions)).await?;
        let Some(length) = wrong(&vectors) else { return Ok(vectors) };
        let refuse = |length| {
            EndpointError::Unusable(format!("vectors of length {length} where {} is wanted", self.dimensions))
        };
        if told {
            return Err(refuse(length));
        }
        vectors = match self.ask(texts, Some(self.dimensions)).await {
            // It cannot be told: what is wrong is the length that it has.
            Err(EndpointError::Refused(refusal)) if matches!(refusal.status, 400 | 422) => {
                return Err(refuse(length));
            }
            answered => answered?,
        };
        if let Some(length) = wrong(&vectors) {
            return Err(refuse(length));
        }
        self.told.store(true, Ordering::Relaxed);
        Ok(vectors)
    }

    /// Asks up to three times. Who was silent for as long as anybody waits is not asked again.
    async fn ask(&self, texts: &[&str], dimensions: Option<usize>) -> Result<Vec<Vec<f32>>, EndpointError> {
        let pauses =
            ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(AGAIN).with_jitter();
        let attempt = || self.ask_once(texts, dimensions);
        attempt
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(|trouble| match trouble {
                EndpointError::Silent(_) => false,
                EndpointError::Refused(refusal) if vectors::too_much(refusal) => false,
                other => other.passes(),
            })
            .adjust(|trouble, pause| {
                let EndpointError::Refused(refusal) = trouble else { return pause };
                let asked = refusal.retry_after.unwrap_or_default();
                pause.filter(|_| asked <= LONGEST_WAIT).map(|pause| pause.max(asked))
            })
            .await
    }

    async fn ask_once(
        &self,
        texts: &[&str],
        dimensions: Option<usize>,
    ) -> Result<Vec<Vec<f32>>, EndpointError> {
        let request = Request { model: &self.model, input: texts, dimensions };
        let reading = self.endpoint.post(&["embeddings"], &request, None).await?;
        let kind = reading.content_type();
        let raw = reading.whole().await?;
        vectors::read(completion::object(&self.endpoint, kind, &raw)?, texts.len())
    }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        let mut vectors = self.embed(&[text]).await.map_err(error)?;
        vectors.pop().ok_or_else(|| Error::Embedding("the endpoint answered nothing".into()))
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
    /// Two halves of it, or half of its one text; `None` when that is too short to be what was too much.
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

/// The texts in requests that are not too large.
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

fn error(trouble: EndpointError) -> Error {
    if trouble.passes() {
        Error::EmbeddingUnavailable(trouble.into())
    } else {
        Error::Embedding(trouble.into())
    }
}
