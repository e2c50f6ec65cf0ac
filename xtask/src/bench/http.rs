//! A client that costs next to nothing: one request at a time over one kept connection.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use ureq::{Agent, Body, http::Response};

/// Servers close connections that are idle for long; the client opens a new one before that.
const MAX_IDLE: Duration = Duration::from_secs(3);
/// The largest answer that is read.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// A client of one server.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).max_idle_age(MAX_IDLE);
        Self { agent: config.build().into(), base: format!("http://{address}"), headers: Vec::new() }
    }

    /// The same client with this header in every request.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends JSON and waits for the answer. Answers how long that took, too.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<(Value, Duration)> {
        let body = body.to_string();
        let began = Instant::now();
        let answer = whole(path, self.send(path, &body)?)?;
        let took = began.elapsed();
        Ok((serde_json::from_slice(&answer).context("the answer is not JSON")?, took))
    }

    /// Asks for JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = whole(path, request.call()?)?;
        serde_json::from_slice(&answer).context("the answer is not JSON")
    }

    /// Deletes, and waits for the answer.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        let mut request = self.agent.delete(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        whole(path, request.call()?).map(drop)
    }

    /// Sends JSON, and shows every event of the answer as soon as it arrives.
    pub(crate) fn events(&self, path: &str, body: &Value, mut show: impl FnMut(&str)) -> Result<()> {
        let mut response = self.send(path, &body.to_string())?;
        ensure!(response.status() == 200, "POST {path}: {}", response.status());
        let mut lines = BufReader::new(response.body_mut().as_reader());
        let mut event = String::new();
        while lines.read_line(&mut event)? > 0 {
            if let Some(whole) = event.strip_suffix("\n\n") {
                show(whole);
                event.clear();
            }
        }
        Ok(())
    }

    fn send(&self, path: &str, body: &str) -> Result<Response<Body>> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send(body).with_context(|| format!("POST {path}"))
    }
}

/// The body of an answer that says 200.
fn whole(path: &str, mut response: Response<Body>) -> Result<Vec<u8>> {
    let body = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec()?;
    if response.status() != 200 {
        bail!("{path}: {} {}", response.status(), String::from_utf8_lossy(&body));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use memcloud_fake_llm::{FakeLlm, Options};
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_answers_and_streams_are_read() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let model = {
            let _inside = runtime.enter();
            FakeLlm::start(Options::default()).unwrap()
        };
        let address = model.url().trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap();
        let client = Client::new(address).with_header("authorization", "Bearer any");
        let request = |stream: bool| json!({"model": "any", "stream": stream, "messages": [{"role": "user", "content": "Hello?"}]});
        let path = "/v1/chat/completions";
        let (answer, took) = client.post(path, &request(false)).unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], "I do not know.");
        assert!(took > Duration::ZERO);
        let mut events = Vec::new();
        client.events(path, &request(true), |event| events.push(event.to_owned())).unwrap();
        assert_eq!(events.last().unwrap(), "data: [DONE]");
        assert!(client.get("/v1/models").unwrap()["data"].is_array());
        assert!(client.get("/nowhere").is_err());
    }
}
