//! The model behind two queues, each with a worker: with any number of clients the cores compute one batch of queries or
//! messages at a time. Imports have threads of their own, which give way, so neither a query nor a message waits for one.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use memcloud_domain::Error;
use memcloud_ports::Embedder;
use memcloud_tasks::give_way;
use tokio::sync::oneshot;

use crate::Model;
use crate::encoder::Threads;

/// The most texts, and about the most bytes of text, to compute at once: enough to keep all cores busy, and few enough that
/// the next request waits less than a tenth of a second.
const CHUNK_TEXTS: usize = 32;
const CHUNK_BYTES: usize = 8_192;

/// The local model as an [`Embedder`].
pub struct LocalEmbedder {
    /// Queries and single messages.
    requests: Worker,
    /// Several documents at once, on threads that give way.
    imports: Worker,
    space: String,
    dimensions: usize,
}

/// A queue, and the thread that works on what is in it.
struct Worker {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    questions: VecDeque<Request>,
    documents: VecDeque<Request>,
    closed: bool,
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Queries come first.
    Questions,
    /// Those with more documents than fit in a chunk take turns.
    Documents,
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
            Line::Documents => &mut self.documents,
        }
    }

    fn lines(&mut self) -> [&mut VecDeque<Request>; 2] {
        [&mut self.questions, &mut self.documents]
    }

    /// The requests whose turn it is; none when no request waits.
    fn take_turn(&mut self) -> Vec<Request> {
        take_chunk(if self.questions.is_empty() { &mut self.documents } else { &mut self.questions })
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

impl Worker {
    /// Starts the thread. It runs `serve` until the queue is closed.
    fn start(name: &str, serve: impl FnOnce(&Queue) + Send + 'static) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let served = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            // However the worker ends, no caller keeps waiting for it.
            let closing = Closing(&served);
            serve(closing.0);
        })?;
        Ok(Self { queue, thread: Some(thread) })
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

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the embedder panicked");
        }
    }
}

impl LocalEmbedder {
    /// Starts the workers.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(model: Model) -> std::io::Result<Self> {
        let (space, dimensions) = (model.space().to_owned(), model.dimensions());
        let model = Arc::new(model);
        let threads = Threads::start(model.threads(), "import", give_way).map_err(std::io::Error::other)?;
        let importing = Arc::clone(&model);
        let imports = Worker::start("importer", move |queue| {
            give_way();
            threads.install(|| work(&importing, queue));
        })?;
        let requests = Worker::start("embedder", move |queue| model.inside(|| work(&model, queue)))?;
        Ok(Self { requests, imports, space, dimensions })
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        let mut vectors = self.requests.ask(vec![text.to_owned()], Line::Questions).await?;
        vectors.pop().ok_or_else(|| Error::Embedding("the model answered nothing".into()))
    }

    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        let worker = if texts.len() > 1 { &self.imports } else { &self.requests };
        worker.ask(texts, Line::Documents).await
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
