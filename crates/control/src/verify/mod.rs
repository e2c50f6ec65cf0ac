//! What an instance was seen to do: the criteria of a verification, their evidence, and the capabilities that follow from it.
//!
//! [`verify`] uses an instance as its users do: through its public API, in a space of its own with a random name, which is
//! deleted afterwards. What it stores contains random words, so that an answer that is right cannot be guessed. Each
//! criterion has a file of its own in `criteria/`.

mod capability;
mod criteria;
mod evidence;
mod removal;
mod run;
mod script;
mod trail;

use std::time::Duration;

use async_trait::async_trait;
use memcloud_client::Client;
use memcloud_domain::Clock;
use tokio_util::sync::CancellationToken;

pub use capability::{Capability, CapabilityName, CapabilityState, capabilities};
pub use evidence::{Criterion, Evidence, Outcome, verdict, verdict_of_memory};

use crate::instances::Reason;
use criteria::{chat, no_timeout, other_session, persistence, profile, search, store};
use run::Run;
use trail::Trail;

/// Restarts the process of the instance that is verified.
#[async_trait]
pub trait Restart: Send + Sync {
    /// Stops the process, starts it again, and returns a client of it once it is ready.
    async fn restart(&self) -> Result<Client, Reason>;
}

/// How an instance is verified.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether it has a language model, so that it chats and learns.
    pub has_llm: bool,
    /// How long the criteria may take altogether. Deleting the space afterwards takes up to 15 seconds more.
    pub time_limit: Duration,
    /// How long a request may take. A chat may take as long as is left of the whole.
    pub request_limit: Duration,
    /// How long a fact may take to be learned.
    pub learning_limit: Duration,
    /// Cancelled when the verification should end early. The space is deleted nevertheless.
    pub stop: CancellationToken,
}

impl Options {
    /// The usual limits: 30 seconds without a language model, two minutes with one; 10 seconds for a request and a minute
    /// for a fact.
    pub fn new(has_llm: bool) -> Self {
        Self {
            has_llm,
            time_limit: if has_llm { Duration::from_mins(2) } else { Duration::from_secs(30) },
            request_limit: Duration::from_secs(10),
            learning_limit: Duration::from_mins(1),
            stop: CancellationToken::new(),
        }
    }
}

/// Checks every criterion, and returns the evidence of each, in the order of [`Criterion`].
///
/// The process is restarted once, and only when something was stored. Spaces that an interrupted verification left behind
/// are deleted as well, so no two verifications of one instance may run at once.
pub async fn verify(
    client: &Client,
    options: &Options,
    restart: &dyn Restart,
    clock: &dyn Clock,
) -> Vec<Evidence> {
    // A request that is sent again would look slower than it is, or hide that the first one was lost.
    let client = client.clone().retrying(1);
    let run = Run::new(options, clock);
    let (mut evidence, client) = Box::pin(check(&run, client, restart)).await;
    removal::remove(&run, &client).await;
    evidence.push(no_timeout::check(&run));
    evidence.sort_by_key(|seen| seen.criterion);
    evidence
}

/// Checks every criterion but the last, and returns a client of the process that runs now.
async fn check(run: &Run<'_>, client: Client, restart: &dyn Restart) -> (Vec<Evidence>, Client) {
    let (stored, store) = store::check(run, &client).await;
    let mut evidence = vec![store];
    let Some(stored) = stored else {
        let rest = [Criterion::Search, Criterion::OtherSession, Criterion::Persistence];
        let reason = Reason::new("nothing could be stored before", "see the reason of the criterion 'store'");
        evidence.extend(rest.map(|criterion| run.not_checked(criterion, reason.clone())));
        evidence.extend(run.without_chat(&reason));
        return (evidence, client);
    };
    let (search, other) =
        tokio::join!(search::check(run, &client, &stored), other_session::check(run, &client, &stored));
    evidence.extend([search, other]);
    let trail = Trail::of(run);
    let client = match persistence::restart(&trail, restart).await {
        Ok(client) => client.retrying(1),
        Err(finding) => {
            evidence.push(trail.conclude(Criterion::Persistence, Err(finding)));
            let reason = Reason::new(
                "the instance did not come back from its restart",
                "see the reason of the criterion 'persistence'",
            );
            evidence.extend(run.without_chat(&reason));
            return (evidence, client);
        }
    };
    let chat_failed = CancellationToken::new();
    let chat = async {
        let seen = chat::check(run, &client).await;
        if seen.outcome == Outcome::Failed {
            chat_failed.cancel();
        }
        seen
    };
    let (persistence, profile, chat) = tokio::join!(
        persistence::check(trail, &client, &stored),
        profile::check(run, &client, &chat_failed),
        chat
    );
    evidence.extend([persistence, profile, chat]);
    (evidence, client)
}
