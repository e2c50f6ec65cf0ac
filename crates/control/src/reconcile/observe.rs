use std::time::Duration;

use memcloud_client::{Client, Error as ClientError};
use memcloud_domain::{excerpt, with_causes};

use super::Operations;
use crate::instances::{Instance, Reason};
use crate::targets::{Observed, Target};

/// How long an instance may take to say whether it is ready. With the pause between comparisons below two seconds, so that a
/// slow instance delays no other beyond that.
const LIMIT: Duration = Duration::from_millis(800);
/// An instance that has not answered so often in a row does not work: one may just be busy.
const UNANSWERED: u32 = 5;
/// The most characters of a reason.
const REASON_CHARS: usize = 400;

/// What an instance was seen to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Whether its process is there.
    pub process: Observed,
    /// Whether it works.
    pub readiness: Readiness,
}

/// Whether an instance works, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, and why.
    NotReady(Reason),
    /// It was not asked, or did not answer once.
    Unknown,
}

/// Asks an instance whether it works.
#[derive(Default)]
pub(crate) struct Probe {
    /// The client, and the address that it is for. It keeps its connection.
    client: Option<(String, Client)>,
    /// How often in a row there was no answer.
    unanswered: u32,
}

impl Probe {
    /// Observes the process, then asks it whether it works.
    pub(crate) async fn observe(
        &mut self,
        instance: &Instance,
        target: &dyn Target,
        operations: &dyn Operations,
    ) -> Observation {
        let process = target.observe(instance).await;
        if process == Observed::Gone {
            *self = Self::default();
            return Observation { process, readiness: Readiness::Unknown };
        }
        let asked = tokio::time::timeout(LIMIT, self.ask(instance, operations)).await;
        let readiness = match asked {
            Ok(Some(readiness)) => {
                self.unanswered = 0;
                readiness
            }
            Ok(None) | Err(_) => self.no_answer(),
        };
        Observation { process, readiness }
    }

    /// What the instance says; `None` when it does not answer.
    async fn ask(&mut self, instance: &Instance, operations: &dyn Operations) -> Option<Readiness> {
        let url = instance.url.as_ref()?;
        let client = match self.client.take() {
            Some((of, client)) if of == *url => client,
            _ => match operations.client(instance).await {
                Ok(client) => client,
                Err(error) => {
                    let hint = "check the sealing key of the console";
                    return Some(Readiness::NotReady(Reason::new(with_causes(&error), hint)));
                }
            },
        };
        match client.ready().await {
            Ok(_) => {
                self.client = Some((url.clone(), client));
                Some(Readiness::Ready)
            }
            Err(ClientError::Unreachable { .. }) => None,
            Err(error) => {
                // The key may have been replaced: the next one is asked for.
                let hint = error.refusal().and_then(|refusal| refusal.hint.as_deref());
                let hint = hint.unwrap_or("check that no other program answers at its address");
                let message = excerpt(&with_causes(&error), REASON_CHARS);
                Some(Readiness::NotReady(Reason::new(message, hint)))
            }
        }
    }

    fn no_answer(&mut self) -> Readiness {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered < UNANSWERED {
            return Readiness::Unknown;
        }
        Readiness::NotReady(no_answer())
    }
}

pub(crate) fn no_answer() -> Reason {
    Reason::new("its process runs, and does not answer", "read its log; restart it if it stays so")
}
