//! The model behind one queue and one worker: with any number of clients the cores compute one batch at a time, and a
//! query never waits behind a long import.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use memcloud_domain::Error;
use memcloud_ports::Embedder;
use tokio::sync::oneshot;

use crate::Model;

/// The most documents, and about the most bytes of text, to compute before waiting queries are checked again. Large
/// enough to keep all cores busy, small enough to delay a query by less than a tenth of a second.
const CHUNK_TEXTS: usize = 32;
const CHUNK_BYTES: usize = 8_192;

/// The local model as an [`Embedder`].
pub struct LocalEmbedder {
    queue: Arc<Queue>,
    worker: Option<JoinHandle<()>>,
    space: String,
    dimensions: usize,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    questions: VecDeque<Request>,
    passages: VecDeque<Request>,
    closed: bool,
}

/// Closes the queue when the worker ends, even by a panic.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.closed = true;
        // Dropping a request fails the caller that waits for it.
        waiting.questions.clear();
        waiting.passages.clear();
    }
}

impl Waiting {
    fn line(&mut self, urgent: bool) -> &mut VecDeque<Request> {
        if urgent { &mut self.questions } else { &mut self.passages }
    }
}

/// Texts of one caller, and the vectors of those that are done.
struct Request {
    urgent: bool,
    texts: Vec<String>,
    vectors: Vec<Vec<f32>>,
    reply: oneshot::Sender<Vec<Vec<f32>>>,
}

impl Request {
    fn remaining(&self) -> &[String] {
        &self.texts[self.vectors.len()..]
    }
}

impl LocalEmbedder {
    /// Starts the worker.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(model: Model) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (space, dimensions) = (model.space().to_owned(), model.dimensions());
        let served = queue.clone();
        let worker = std::thread::Builder::new().name("embedder".into()).spawn(move || {
            // However the worker ends, no caller keeps waiting for it.
            let closing = Closing(&served);
            model.inside(|| work(&model, closing.0));
        })?;
        Ok(Self { queue, worker: Some(worker), space, dimensions })
    }

    async fn ask(&self, texts: Vec<String>, urgent: bool) -> Result<Vec<Vec<f32>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { urgent, texts, vectors: Vec::new(), reply };
        {
            let mut waiting = self.queue.lock();
            if waiting.closed {
                return Err(Error::Embedding("the model has stopped; restart the server".into()));
            }
            waiting.line(urgent).push_back(request);
        }
        self.queue.changed.notify_one();
        answer.await.map_err(|gone| Error::Embedding(gone.into()))
    }
}

impl Drop for LocalEmbedder {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!("the embedder's thread panicked");
        }
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        let mut vectors = self.ask(vec![text.to_owned()], true).await?;
        vectors.pop().ok_or_else(|| Error::Embedding("the model answered nothing".into()))
    }

    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        self.ask(texts, false).await
    }

    fn space(&self) -> &str {
        &self.space
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next requests to work on; `None` once the embedder is dropped.
    fn next(&self) -> Option<Vec<Request>> {
        let mut waiting = self.lock();
        loop {
            waiting.questions.retain(|request| !request.reply.is_closed());
            waiting.passages.retain(|request| !request.reply.is_closed());
            if waiting.closed {
                return None;
            }
            if !waiting.questions.is_empty() {
                return Some(take_chunk(&mut waiting.questions));
            }
            if !waiting.passages.is_empty() {
                return Some(take_chunk(&mut waiting.passages));
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The first requests of a queue that together fill a chunk; at least one.
fn take_chunk(line: &mut VecDeque<Request>) -> Vec<Request> {
    let mut taken = Vec::new();
    let (mut texts, mut bytes) = (0, 0);
    while texts < CHUNK_TEXTS
        && bytes < CHUNK_BYTES
        && let Some(request) = line.pop_front()
    {
        texts += request.remaining().len();
        bytes += request.remaining().iter().map(String::len).sum::<usize>();
        taken.push(request);
    }
    taken
}

fn work(model: &Model, queue: &Queue) {
    while let Some(mut requests) = queue.next() {
        let chunk = chunk(&requests);
        let mut vectors = model.embed(&chunk).into_iter();
        for request in &mut requests {
            let missing = request.remaining().len();
            request.vectors.extend(vectors.by_ref().take(missing));
        }
        for request in requests.into_iter().rev() {
            if request.remaining().is_empty() {
                // The caller may have gone.
                drop(request.reply.send(request.vectors));
            } else {
                queue.lock().line(request.urgent).push_front(request);
            }
        }
    }
}

/// The texts to compute now: those of the requests in order, up to a chunk.
fn chunk(requests: &[Request]) -> Vec<&str> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for text in requests.iter().flat_map(Request::remaining) {
        if !chunk.is_empty() && (chunk.len() == CHUNK_TEXTS || bytes + text.len() > CHUNK_BYTES) {
            break;
        }
        bytes += text.len();
        chunk.push(text.as_str());
    }
    chunk
}
