//! A language model that says something new each time, or only quotes what it is told, and that knows when it was asked
//! and when it spoke: on the clock of whoever measures, who is in the same process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Words that the messages do not have, so that what is said of them quotes none.
const WORDS: [&str; 40] = [
    "perhaps", "window", "seven", "gentle", "harbour", "copper", "orbit", "lantern", "quietly", "marble",
    "ladder", "velvet", "thunder", "pocket", "meadow", "ribbon", "silver", "kettle", "hollow", "candle",
    "bridge", "feather", "mirror", "pepper", "anchor", "button", "canyon", "drift", "ember", "fabric",
    "garlic", "hammer", "island", "jacket", "kernel", "lemon", "magnet", "needle", "olive", "pillow",
];

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// How long it thinks.
    pub(super) latency: Duration,
    /// How long it rests before each word of a stream.
    pub(super) pause: Duration,
    /// How many words it says.
    pub(super) words: usize,
    /// Whether it says the last memory that it is told, instead of words of its own.
    pub(super) quotes: bool,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// The request.
    pub(super) body: Value,
    /// When all of it was there.
    pub(super) asked: Instant,
    /// When the answer, or the first word of it, was about to be sent.
    pub(super) spoke: Instant,
}

/// The running model. Its threads end when it is dropped and its callers have gone.
pub(super) struct Speaker {
    /// Where it listens.
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    manner: Manner,
    calls: usize,
    last: Option<Heard>,
    streams: usize,
    most_streams: usize,
    ended: bool,
}

impl Speaker {
    pub(super) fn start(manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = State { manner, calls: 0, last: None, streams: 0, most_streams: 0, ended: false };
        let state = Arc::new(Mutex::new(state));
        let known = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if locked(&known).ended {
                    return;
                }
                let known = Arc::clone(&known);
                // How a connection ends is the concern of its other side, which is measured.
                thread::spawn(move || drop(serve(stream, &known)));
            }
        });
        Ok(Self { address, state })
    }

    /// How it answers from now on.
    pub(super) fn behave(&self, manner: Manner) {
        locked(&self.state).manner = manner;
    }

    /// The last call that it has begun to answer.
    pub(super) fn last(&self) -> Result<Heard> {
        locked(&self.state).last.clone().context("the model was not asked")
    }

    /// The most streams that were open at once.
    pub(super) fn most_streams(&self) -> usize {
        locked(&self.state).most_streams
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        locked(&self.state).ended = true;
        // Wakes whoever waits for callers.
        drop(TcpStream::connect(self.address));
    }
}

/// Whoever panicked with the lock has left nothing half: each change is one assignment.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(body) = request(&mut reader)? {
        let asked = Instant::now();
        let body: Value = serde_json::from_slice(&body)?;
        let (number, manner) = {
            let mut state = locked(state);
            state.calls += 1;
            (state.calls, state.manner)
        };
        let text = if manner.quotes { quotation(&body) } else { words(number, manner.words) };
        thread::sleep(manner.latency);
        let streams = body["stream"] == true;
        let mut call = Call { to: reader.get_mut(), state, heard: Heard { body, asked, spoke: asked } };
        if streams { call.stream(&text, manner.pause)? } else { call.whole(&text)? }
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
    heard: Heard,
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
        self.speaks();
        Ok(self.to.write_all((head + &body).as_bytes())?)
    }

    fn stream(&mut self, text: &str, pause: Duration) -> Result<()> {
        {
            let mut state = locked(self.state);
            state.streams += 1;
            state.most_streams = state.most_streams.max(state.streams);
        }
        let told = self.events(text, pause);
        locked(self.state).streams -= 1;
        told
    }

    fn events(&mut self, text: &str, pause: Duration) -> Result<()> {
        self.to.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        self.event(&json!({"role": "assistant", "content": ""}), None)?;
        for (place, word) in text.split_inclusive(' ').enumerate() {
            thread::sleep(pause);
            if place == 0 {
                self.speaks();
            }
            self.event(&json!({"content": word}), None)?;
        }
        self.event(&json!({}), Some(text))?;
        self.chunk("data: [DONE]\n\n")?;
        self.chunk("")
    }

    /// An event of a stream; the last one knows all that was said.
    fn event(&mut self, delta: &Value, said: Option<&str>) -> Result<()> {
        let event = json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 0, "model": "bench",
            "choices": [{"index": 0, "delta": delta, "finish_reason": said.map(|_| "stop")}],
            "usage": said.map(|text| self.usage(text)),
        });
        self.chunk(&format!("data: {event}\n\n"))
    }

    /// A piece of the answer; an empty one is the last.
    fn chunk(&mut self, text: &str) -> Result<()> {
        Ok(self.to.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?)
    }

    fn speaks(&mut self) {
        self.heard.spoke = Instant::now();
        locked(self.state).last = Some(self.heard.clone());
    }

    fn usage(&self, text: &str) -> Value {
        let (asked, said) = (self.heard.body.to_string().len() / 4, text.len() / 4);
        json!({"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said})
    }
}

/// The last memory of the request. Each is a JSON string at the end of a line of its own.
fn quotation(body: &Value) -> String {
    let told = body["messages"][0]["content"].as_str().unwrap_or_default();
    let last = told.lines().rfind(|line| line.starts_with("- ["));
    let said = last.and_then(|line| Some(line.split_once("\": ")?.1));
    said.and_then(|said| serde_json::from_str(said).ok()).unwrap_or_else(|| "I do not know.".into())
}

/// So many words, in an order that no other number has.
fn words(number: usize, count: usize) -> String {
    let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let words = (0..count).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WORDS[(state >> 40) as usize % WORDS.len()]
    });
    words.collect::<Vec<_>>().join(" ")
}
