use memcloud_api::Integer;
use memcloud_api::native::{ChatAnswer, ChatContext, ChatRequest};
use memcloud_client::{ChatEvent, ChatStream, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::connect;
use crate::commands::{Context, Place, day_and_time};
use crate::failure::{Exit, Failure};
use crate::output::{Line, Output};
use crate::settings::ClientFlags;

/// Chat with the memory; it remembers what is said, across runs
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What to say; without it, chat until the end of the input (Ctrl-D)
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

/// How many messages of this run are sent with a new one. Older ones are recalled like all others.
const HISTORY: usize = 20;

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let client = connect(&context.sources, &args.client).await?;
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
            // A failed answer does not end the chat, but no chat is possible without a server or a key.
            Err(failure) if failure.exit == Exit::Failed && output.talks_with_person() => {
                output.failure(&failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Exit::Ok)
}

/// The lines of stdin, each as soon as it is there. A thread reads them, because a read from a terminal blocks.
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
    /// Sends a message, and prints the answer as it arrives.
    async fn say(&mut self, message: &str) -> Result<(), Failure> {
        self.history.push(json!({"role": "user", "content": message}));
        let keep_from = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..keep_from);
        let stream = self.client.chat_stream(&self.request()).await?;
        match self.show(stream).await {
            Ok(answer) => {
                self.history.push(json!({"role": "assistant", "content": answer}));
                Ok(())
            }
            Err(failure) => {
                // The message is stored but not answered: the next request does not send it again.
                self.history.pop();
                Err(failure)
            }
        }
    }

    fn request(&self) -> ChatRequest {
        let (users, agents) = (vec![self.args.user.clone()], vec![self.args.agent.clone()]);
        ChatRequest {
            session: Some(self.args.place.session_of(users, agents)),
            messages: self.history.clone(),
            model: self.args.model.clone(),
            stream: Some(true),
            limit: Some(Integer(self.args.limit.into())),
        }
    }

    /// Prints the events of an answer, and returns the whole answer.
    async fn show(&self, mut stream: ChatStream) -> Result<String, Failure> {
        let (output, mut content) = (self.output, String::new());
        let mut context = ChatContext { memories: vec![], profile: vec![], context_tokens: 0 };
        loop {
            match stream.next().await {
                Ok(ChatEvent::Memories(recalled)) => {
                    if self.args.explain && !output.json {
                        explain(&recalled, output);
                    }
                    context = recalled;
                }
                Ok(ChatEvent::Delta(text)) => {
                    if !output.json {
                        output.piece(&text);
                    }
                    content.push_str(&text);
                }
                Ok(ChatEvent::Done(end)) => {
                    if output.json {
                        output.value(&ChatAnswer { content: content.clone(), context, end });
                    } else {
                        output.data("");
                    }
                    return Ok(content);
                }
                Err(error) => {
                    if !output.json && !content.is_empty() {
                        output.data("");
                    }
                    return Err(error.into());
                }
            }
        }
    }
}

/// Prints what was recalled.
fn explain(recalled: &ChatContext, output: Output) {
    for fact in &recalled.profile {
        output.data(Line::default().dim(format!("  fact    {}: ", fact.feature)).said(&fact.value));
    }
    for memory in &recalled.memories {
        let at = day_and_time(&memory.timestamp);
        let said_by = format!("  {:6.3}  {at}  {}: ", memory.score, memory.producer);
        output.data(Line::default().dim(said_by).said(&memory.content));
    }
}
