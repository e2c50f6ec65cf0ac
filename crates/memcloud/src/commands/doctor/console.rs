//! What a console says about its parts and its instances.

use memcloud_api::console::Part;

use super::{Finding, State};
use crate::console_client::{connect_to_console, names_console};
use crate::failure::{Exit, Failure};
use crate::kept_access::KeptAccess;
use crate::settings::{ConsoleFlags, Sources};

const PART: &str = "console";

/// Asks the console that is named or that `up` left; nothing where there is none.
pub(super) async fn console(sources: &Sources, flags: &ConsoleFlags) -> Vec<Finding> {
    if !names_console(sources, flags) && KeptAccess::read().is_none() {
        return Vec::new();
    }
    let console = match connect_to_console(sources, flags) {
        Ok(console) => console,
        Err(failure) => return vec![Finding::broken(PART, failure)],
    };
    match console.doctor().await.map_err(Failure::from) {
        Ok(doctor) => doctor.parts.into_iter().map(examined).collect(),
        Err(failure) if failure.exit == Exit::Unreachable && !names_console(sources, flags) => {
            vec![Finding::skipped(PART, format!("none is running at {}", console.url()))]
        }
        Err(failure) => vec![Finding::broken(PART, failure)],
    }
}

fn examined(examined: Part) -> Finding {
    let Part { part, instance, state, reason } = examined;
    let part = part.replace('_', " ");
    let (name, what) = instance.map_or((PART, part), |instance| ("instance", instance));
    let found = match state.as_str() {
        "ok" => State::Ok,
        "changing" => State::Unchecked,
        _ => State::Failed,
    };
    match reason {
        Some(reason) => Finding::new(name, found, format!("{what}: {}", reason.message), reason.hint),
        None => Finding::new(name, found, format!("{what}: {state}"), ""),
    }
}
