//! The model behind one queue and one worker: with any number of clients the cores compute one batch at a time, and
//! neither a query nor a message waits behind a long import.

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
    messages: VecDeque<Request>,
    imports: VecDeque<Request>,
    /// Whether the last passages were those of messages: then imports have the next turn.
    had_messages: bool,
    closed: bool,
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Queries come first.
    Questions,
    /// Documents that fit in one chunk take turns with imports.
    Messages,
    /// More documents, computed in parts. Imports take turns among themselves.
    Imports,
}

impl Line {
    fn of_documents(texts: &[String]) -> Self {
        let bytes = texts.iter().map(String::len).sum::<usize>();
        // A text is never split, however long it is.
        let fits = texts.len() <= 1 || (texts.len() <= CHUNK_TEXTS && bytes <= CHUNK_BYTES);
        if fits { Self::Messages } else { Self::Imports }
    }
}

/// Closes the queue when the worker ends, even by a panic.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.closed = true;
        // Dropping a request fails the caller that waits for it.
        waiting.lines().into_iter().for_each(VecDeque::clear);
    }
}

impl Waiting {
    fn line(&mut self, line: Line) -> &mut VecDeque<Request> {
        match line {
            Line::Questions => &mut self.questions,
            Line::Messages => &mut self.messages,
            Line::Imports => &mut self.imports,
        }
    }

    fn lines(&mut self) -> [&mut VecDeque<Request>; 3] {
        [&mut self.questions, &mut self.messages, &mut self.imports]
    }

    /// The requests whose turn it is; none when no request waits.
    fn take_turn(&mut self) -> Vec<Request> {
        if !self.questions.is_empty() {
            return take_chunk(&mut self.questions);
        }
        self.had_messages = !self.messages.is_empty() && (self.imports.is_empty() || !self.had_messages);
        take_chunk(if self.had_messages { &mut self.messages } else { &mut self.imports })
    }
}

/// Texts of one caller, and the vectors of those that are done.
struct Request {
    line: Line,
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

    async fn ask(&self, texts: Vec<String>, line: Line) -> Result<Vec<Vec<f32>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { line, texts, vectors: Vec::new(), reply };
        {
            let mut waiting = self.queue.lock();
            if waiting.closed {
                return Err(Error::Embedding("the model has stopped; restart the server".into()));
            }
            waiting.line(line).push_back(request);
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
        let mut vectors = self.ask(vec![text.to_owned()], Line::Questions).await?;
        vectors.pop().ok_or_else(|| Error::Embedding("the model answered nothing".into()))
    }

    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        let line = Line::of_documents(&texts);
        self.ask(texts, line).await
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
            for line in waiting.lines() {
                line.retain(|request| !request.reply.is_closed());
            }
            if waiting.closed {
                return None;
            }
            let taken = waiting.take_turn();
            if !taken.is_empty() {
                return Some(taken);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The first requests of a line that together fill a chunk; at least one, unless the line is empty.
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
        for request in requests {
            if request.remaining().is_empty() {
                // The caller may have gone.
                drop(request.reply.send(request.vectors));
            } else {
                queue.lock().line(request.line).push_back(request);
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
