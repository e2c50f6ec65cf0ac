//! The language model of an instance.
//!
//! `OPENAI_API_KEY` or `OPENAI_BASE_URL` set: an instance chats and learns. Neither: everything else works, and chats
//! answer that there is no model.

use std::time::Duration;

use memcloud_instance::{Llm, LlmOptions, Profile};
use memcloud_llm::{Endpoint, Timeouts};
use memcloud_memory::{ChatOptions, LearnerOptions};
use memcloud_ports::{Budget, Trigger};
use secrecy::SecretString;

use super::names::{
    CALLS_PER_DAY, CALLS_PER_MINUTE, CHAT_MODEL, CONTEXT_TOKENS, MODEL_TIMEOUT, OPENAI_API_KEY,
    OPENAI_BASE_URL, PROFILE, PROFILE_MESSAGES, PROFILE_MODEL, PROFILE_SECONDS, Setting, TOKENS_PER_DAY,
    TOKENS_PER_MINUTE,
};
use super::notice::Notice;
use super::source::Sources;
use crate::failure::Failure;

/// `OpenAI`'s own endpoint, and its model when none is named.
pub(super) const OPENAI: &str = "https://api.openai.com/v1";
const OPENAI_MODEL: &str = "gpt-5-mini";
/// The most tokens of memories in one request, and the most messages to wait for before learning.
const MAX_CONTEXT: usize = 1_000_000;
const MAX_MESSAGES: usize = 1_000_000;

/// The language model that the settings name, if any, with what is unwise about it.
pub(crate) fn llm(sources: &Sources) -> Result<(Option<Llm>, Option<Notice>), Failure> {
    let named = sources.text(&OPENAI_BASE_URL, None);
    let key = sources.secret(&OPENAI_API_KEY, None)?;
    if named.is_none() && key.is_none() {
        return Ok((None, sources.text(&CHAT_MODEL, None).map(|_| no_endpoint())));
    }
    let address = named.unwrap_or_else(|| OPENAI.into());
    let Some(model) = model(sources, &address) else { return Ok((None, Some(no_model()))) };
    let endpoint = endpoint(&OPENAI_BASE_URL, &address, key, timeouts(sources)?)?;
    let notice = endpoint.exposes_key().then(|| exposed_key(&endpoint));
    let options = LlmOptions { chat: chat(sources)?, profile: profile(sources)?, budget: budget(sources)? };
    let llm = Llm { endpoint, model, options };
    Ok((Some(llm), notice))
}

/// The model that chats; `None` where the endpoint has none of its own and none is named.
fn model(sources: &Sources, address: &str) -> Option<String> {
    sources.text(&CHAT_MODEL, None).or_else(|| {
        let is_openai = address.starts_with("https://api.openai.com/");
        // Azure's deployments have their model in the address and ignore any other.
        let is_deployment = address.contains("/deployments/");
        is_openai.then(|| OPENAI_MODEL.into()).or_else(|| is_deployment.then(|| "deployment".into()))
    })
}

fn no_endpoint() -> Notice {
    let (key, url, model) = (OPENAI_API_KEY.name, OPENAI_BASE_URL.name, CHAT_MODEL.name);
    Notice {
        message: format!(
            "{model} is set, but neither {key} nor {url} is: the memory runs without chat and learns no facts"
        ),
        hint: format!(
            "to enable both, set {key} for OpenAI, or {url} for another endpoint; otherwise unset {model}"
        ),
    }
}

fn no_model() -> Notice {
    let (url, model) = (OPENAI_BASE_URL.name, CHAT_MODEL.name);
    Notice {
        message: format!(
            "{url} is set, but {model} is not: the memory runs without chat and learns no facts"
        ),
        hint: format!("to enable both, set {model} to a model of that endpoint; otherwise unset {url}"),
    }
}

fn exposed_key(endpoint: &Endpoint) -> Notice {
    let address = endpoint.address();
    Notice {
        message: format!("the key of the language model crosses the network unencrypted, to {address}"),
        hint: "use https, or leave the key out if the endpoint needs none".into(),
    }
}

fn chat(sources: &Sources) -> Result<ChatOptions, Failure> {
    let tokens = sources.parsed(&CONTEXT_TOKENS)?.unwrap_or(ChatOptions::default().context_tokens);
    if tokens > MAX_CONTEXT {
        let message = format!("{} is more than {MAX_CONTEXT}", CONTEXT_TOKENS.name);
        return Err(Failure::usage(message, "set it to that or less"));
    }
    Ok(ChatOptions { context_tokens: tokens })
}

fn profile(sources: &Sources) -> Result<Option<Profile>, Failure> {
    if sources.text(&PROFILE, None).is_some() && !sources.switch(&PROFILE, false)? {
        return Ok(None);
    }
    let usual = LearnerOptions::default().trigger;
    let messages = sources.parsed::<std::num::NonZeroUsize>(&PROFILE_MESSAGES)?;
    let age = sources.parsed(&PROFILE_SECONDS)?.map(Duration::from_secs);
    let trigger = Trigger {
        messages: messages.map_or(usual.messages, |most| most.get().min(MAX_MESSAGES)),
        age: age.unwrap_or(usual.age),
    };
    Ok(Some(Profile {
        model: sources.text(&PROFILE_MODEL, None),
        learner: LearnerOptions { trigger, ..LearnerOptions::default() },
    }))
}

fn budget(sources: &Sources) -> Result<Budget, Failure> {
    Ok(Budget {
        calls_per_minute: sources.parsed(&CALLS_PER_MINUTE)?,
        calls_per_day: sources.parsed(&CALLS_PER_DAY)?,
        tokens_per_minute: sources.parsed(&TOKENS_PER_MINUTE)?,
        tokens_per_day: sources.parsed(&TOKENS_PER_DAY)?,
    })
}

/// An endpoint, checked; `setting` is the one that names it.
pub(super) fn endpoint(
    setting: &Setting,
    address: &str,
    key: Option<SecretString>,
    timeouts: Timeouts,
) -> Result<Endpoint, Failure> {
    Endpoint::new(address, key, timeouts)
        .map_err(|bad| Failure::usage(format!("{}: {}", setting.name, bad.what), bad.hint))
}

/// How long endpoints may take.
pub(super) fn timeouts(sources: &Sources) -> Result<Timeouts, Failure> {
    let usual = Timeouts::default();
    let silence = sources.parsed::<std::num::NonZeroU64>(&MODEL_TIMEOUT)?;
    Ok(Timeouts {
        silence: silence.map_or(usual.silence, |seconds| Duration::from_secs(seconds.get())),
        ..usual
    })
}
