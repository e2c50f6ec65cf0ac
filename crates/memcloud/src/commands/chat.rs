use futures_util::StreamExt;
use memcloud_domain::with_causes;
use memcloud_llm::events::Events;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::commands::{Context, Place, day_and_time};
use crate::failure::{Exit, Failure};
use crate::output::{Output, dim, harmless};
use crate::settings::ClientFlags;

/// Chat with the memory; it remembers what is said, across runs
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What to say; without it the chat goes on until the end of the input (Ctrl-D)
    message: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Who is talking
    #[arg(long, value_name = "NAME", default_value = "user")]
    user: String,
    /// Who answers
    #[arg(long, value_name = "NAME", default_value = "assistant")]
    agent: String,
    /// The language model (default: the instance's)
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The most memories to recall for one answer
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Show what was recalled for each answer
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    client: ClientFlags,
}

/// How much of this run's conversation goes along with a message; what is older is recalled like everything else.
const HISTORY: usize = 20;

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = Client::new(&context.sources, &args.client)?;
    let mut conversation = Conversation { client, args, history: vec![], output: context.output };
    if let Some(message) = conversation.args.message.take() {
        conversation.say(&message).await?;
        return Ok(Exit::Ok);
    }
    let output = context.output;
    if output.talks_with_person() {
        output.say("say something; Ctrl-D ends the chat");
    }
    let mut lines = lines();
    loop {
        output.prompt(&format!("{}> ", conversation.args.user));
        let Some(line) = lines.recv().await else { break };
        if line.trim().is_empty() {
            continue;
        }
        match conversation.say(&line).await {
            Ok(()) => {}
            // One answer that failed does not end the chat; without a server or a key there is none.
            Err(failure) if failure.exit == Exit::Failed && output.talks_with_person() => {
                output.failure(&failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Exit::Ok)
}

/// The lines of stdin, each as soon as it is there. A thread of its own reads them, since nothing else can wait for a
/// terminal.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The conversation of this run.
struct Conversation {
    client: Client,
    args: Args,
    history: Vec<Value>,
    output: Output,
}

impl Conversation {
    /// Says something, and shows the answer as it comes.
    async fn say(&mut self, message: &str) -> Result<(), Failure> {
        self.history.push(json!({"role": "user", "content": message}));
        let keep_from = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..keep_from);
        let response = self.client.stream(&["v1", "chat"], &self.body()).await?;
        match self.show(response).await {
            Ok(answer) => {
                self.history.push(json!({"role": "assistant", "content": answer}));
                Ok(())
            }
            Err(failure) => {
                // It is stored, but was not answered: the next message does not carry it again.
                self.history.pop();
                Err(failure)
            }
        }
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "session": {
                "group_id": self.args.place.group(),
                "session_id": self.args.place.session(),
                "user_id": [self.args.user],
                "agent_id": [self.args.agent],
            },
            "messages": self.history,
            "stream": true,
            "limit": self.args.limit,
        });
        if let Some(model) = &self.args.model {
            body["model"] = model.clone().into();
        }
        body
    }

    /// Shows the events of an answer, and answers what the model said in all.
    async fn show(&self, response: Response) -> Result<String, Failure> {
        let mut bytes = response.bytes_stream();
        let mut events = Events::default();
        let mut shown = Shown {
            output: self.output,
            explain: self.args.explain,
            answer: String::new(),
            memories: json!({}),
        };
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|error| broken(&with_causes(&error)))?;
            events.push(&piece);
            while let Some(event) = events.next_event().map_err(|error| broken(&error.to_string()))? {
                let data = serde_json::from_str(&event.data.unwrap_or_default()).unwrap_or_default();
                if shown.event(event.name.as_deref().unwrap_or_default(), data)? {
                    return Ok(shown.answer);
                }
            }
        }
        Err(broken("the server closed the connection"))
    }
}

fn broken(why: &str) -> Failure {
    Failure::new(
        format!("the answer broke off: {why}"),
        "what was answered up to then is stored; see the server's log",
    )
}

/// What has been shown of an answer.
struct Shown {
    output: Output,
    explain: bool,
    answer: String,
    memories: Value,
}

impl Shown {
    /// Shows one event; whether it was the last.
    fn event(&mut self, name: &str, data: Value) -> Result<bool, Failure> {
        match name {
            "memories" => {
                if self.explain && !self.output.json {
                    explain(&data, self.output);
                }
                self.memories = data;
            }
            "delta" => {
                let text = data["content"].as_str().unwrap_or_default();
                self.answer.push_str(text);
                if !self.output.json {
                    self.output.piece(text);
                }
            }
            "done" => {
                if self.output.json {
                    self.output.value(&self.whole(&data));
                } else {
                    self.output.data("");
                }
                return Ok(true);
            }
            "error" => {
                if !self.output.json && !self.answer.is_empty() {
                    self.output.data("");
                }
                let told = data["detail"].as_str().unwrap_or("the model failed").to_owned();
                let hint = data["hint"].as_str().unwrap_or("run 'memcloud doctor'").to_owned();
                let stored = data["stored"]["user_message"].is_string();
                let told = if stored { format!("{told}; what you said is stored") } else { told };
                return Err(Failure::new(told, hint));
            }
            _ => {}
        }
        Ok(false)
    }

    /// The answer as the endpoint gives it without a stream.
    fn whole(&self, end: &Value) -> Value {
        let mut whole = json!({"content": self.answer});
        for part in [&self.memories, end] {
            for (name, value) in part.as_object().into_iter().flatten() {
                whole[name] = value.clone();
            }
        }
        whole
    }
}

/// What was recalled, for the one who wants to know.
fn explain(recalled: &Value, output: Output) {
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    for fact in recalled["profile"].as_array().into_iter().flatten() {
        output.data(dim(&format!("  fact    {}: {}", text(&fact["feature"]), text(&fact["value"]))));
    }
    for memory in recalled["memories"].as_array().into_iter().flatten() {
        let at = day_and_time(&text(&memory["timestamp"]));
        let score = memory["score"].as_f64().unwrap_or_default();
        let said = format!("{}: {}", text(&memory["producer"]), text(&memory["content"]));
        output.data(dim(&format!("  {score:6.3}  {at}  {said}")));
    }
}
