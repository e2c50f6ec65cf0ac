//! A language model that says something new each time, or only quotes its context. It runs in this process and records
//! when it was asked and when it answered, on the clock of the measurement.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Words that no message contains, so that an answer made of them quotes none.
const WORDS: [&str; 40] = [
    "perhaps", "window", "seven", "gentle", "harbour", "copper", "orbit", "lantern", "quietly", "marble",
    "ladder", "velvet", "thunder", "pocket", "meadow", "ribbon", "silver", "kettle", "hollow", "candle",
    "bridge", "feather", "mirror", "pepper", "anchor", "button", "canyon", "drift", "ember", "fabric",
    "garlic", "hammer", "island", "jacket", "kernel", "lemon", "magnet", "needle", "olive", "pillow",
];

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    /// How long it waits before it answers.
    pub(super) latency: Duration,
    /// How long it waits before each word of a stream.
    pub(super) pause: Duration,
    /// How many words an answer has.
    pub(super) words: usize,
    /// Whether it repeats the last memory of its context instead of words of its own.
    pub(super) quotes: bool,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct SeenCall {
    /// The request.
    pub(super) body: Value,
    /// When all of it had arrived.
    pub(super) asked: Instant,
    /// When the answer, or the first word of it, was about to be sent.
    pub(super) answered: Instant,
}

/// The running model. Its threads end when it is dropped and its callers have disconnected.
pub(super) struct ScriptedModel {
    /// Where it listens.
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    script: Script,
    calls: usize,
    last: Option<SeenCall>,
    streams: usize,
    most_streams: usize,
    ended: bool,
}

impl ScriptedModel {
    pub(super) fn start(script: Script) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = State { script, calls: 0, last: None, streams: 0, most_streams: 0, ended: false };
        let state = Arc::new(Mutex::new(state));
        let known = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if locked(&known).ended {
                    return;
                }
                let known = Arc::clone(&known);
                // A failed connection is an error of the client, which is measured and reports it.
                thread::spawn(move || drop(serve(stream, &known)));
            }
        });
        Ok(Self { address, state })
    }

    /// Changes how it answers.
    pub(super) fn follow(&self, script: Script) {
        locked(&self.state).script = script;
    }

    /// The last call that it has begun to answer.
    pub(super) fn last(&self) -> Result<SeenCall> {
        locked(&self.state).last.clone().context("the model was not asked")
    }

    /// The most streams that were open at once.
    pub(super) fn most_streams(&self) -> usize {
        locked(&self.state).most_streams
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        locked(&self.state).ended = true;
        // Wakes the thread that accepts connections.
        drop(TcpStream::connect(self.address));
    }
}

/// A panic leaves nothing inconsistent under the lock: each change is one assignment.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(body) = request(&mut reader)? {
        let asked = Instant::now();
        let body: Value = serde_json::from_slice(&body)?;
        let (number, script) = {
            let mut state = locked(state);
            state.calls += 1;
            (state.calls, state.script)
        };
        let text = if script.quotes { quotation(&body) } else { words(number, script.words) };
        thread::sleep(script.latency);
        let streams = body["stream"] == true;
        let mut call = Call { to: reader.get_mut(), state, seen: SeenCall { body, asked, answered: asked } };
        if streams { call.stream(&text, script.pause)? } else { call.whole(&text)? }
    }
    Ok(())
}

/// The body of the next request; `None` when the connection has ended.
fn request(reader: &mut BufReader<TcpStream>) -> Result<Option<Vec<u8>>> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(body))
}

/// A call that is being answered.
struct Call<'a> {
    to: &'a mut TcpStream,
    state: &'a Mutex<State>,
    seen: SeenCall,
}

impl Call<'_> {
    fn whole(&mut self, text: &str) -> Result<()> {
        let message = json!({"role": "assistant", "content": text});
        let body = json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 0, "model": "bench",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": self.usage(text),
        });
        let body = body.to_string();
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        self.marks_answer();
        Ok(self.to.write_all((head + &body).as_bytes())?)
    }

    fn stream(&mut self, text: &str, pause: Duration) -> Result<()> {
        {
            let mut state = locked(self.state);
            state.streams += 1;
            state.most_streams = state.most_streams.max(state.streams);
        }
        let sent = self.events(text, pause);
        locked(self.state).streams -= 1;
        sent
    }

    fn events(&mut self, text: &str, pause: Duration) -> Result<()> {
        self.to.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        self.event(&json!({"role": "assistant", "content": ""}), None)?;
        for (place, word) in text.split_inclusive(' ').enumerate() {
            thread::sleep(pause);
            if place == 0 {
                self.marks_answer();
            }
            self.event(&json!({"content": word}), None)?;
        }
        self.event(&json!({}), Some(text))?;
        self.chunk("data: [DONE]\n\n")?;
        self.chunk("")
    }

    /// Sends an event of a stream. The last one has the whole text, for its usage.
    fn event(&mut self, delta: &Value, said: Option<&str>) -> Result<()> {
        let event = json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 0, "model": "bench",
            "choices": [{"index": 0, "delta": delta, "finish_reason": said.map(|_| "stop")}],
            "usage": said.map(|text| self.usage(text)),
        });
        self.chunk(&format!("data: {event}\n\n"))
    }

    /// Sends a piece of the answer. An empty one is the last.
    fn chunk(&mut self, text: &str) -> Result<()> {
        Ok(self.to.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?)
    }

    fn marks_answer(&mut self) {
        self.seen.answered = Instant::now();
        locked(self.state).last = Some(self.seen.clone());
    }

    fn usage(&self, text: &str) -> Value {
        let (asked, said) = (self.seen.body.to_string().len() / 4, text.len() / 4);
        json!({"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said})
    }
}

/// The last memory in the request. Each is a JSON string at the end of its line.
fn quotation(body: &Value) -> String {
    let context = body["messages"][0]["content"].as_str().unwrap_or_default();
    let last = context.lines().rfind(|line| line.starts_with("- ["));
    let said = last.and_then(|line| Some(line.split_once("\": ")?.1));
    said.and_then(|said| serde_json::from_str(said).ok()).unwrap_or_else(|| "I do not know.".into())
}

/// `count` words, in an order that depends on `number`.
fn words(number: usize, count: usize) -> String {
    let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let words = (0..count).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WORDS[(state >> 40) as usize % WORDS.len()]
    });
    words.collect::<Vec<_>>().join(" ")
}
