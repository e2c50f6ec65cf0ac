//! The steps of this target, one a file.

mod connections;
mod copy;
mod empty;
mod folder;
mod forget;
mod keys;
mod program;
mod ready;
mod remove;
mod reserve;
mod snapshot;
mod start;
mod stop;
mod switch;
mod verify;

use std::sync::Arc;

use super::Local;
use crate::operations::Step;

pub(super) const CONNECTIONS: &str = "connections";
pub(super) const COPY: &str = "copy";
pub(super) const EMPTY: &str = "empty";
pub(super) const FOLDER: &str = "folder";
pub(super) const FORGET: &str = "forget";
pub(super) const KEYS: &str = "keys";
pub(super) const PROGRAM: &str = "program";
pub(super) const READY: &str = "ready";
pub(super) const REMOVE: &str = "remove";
pub(super) const RESERVE: &str = "reserve";
pub(super) const SNAPSHOT: &str = "snapshot";
pub(super) const START: &str = "start";
pub(super) const STOP: &str = "stop";
pub(super) const SWITCH: &str = "switch";
pub(super) const VERIFY: &str = "verify";

/// The step of this name.
pub(super) fn step(local: &Arc<Local>, name: &str) -> Option<Arc<dyn Step>> {
    let local = Arc::clone(local);
    Some(match name {
        CONNECTIONS => Arc::new(connections::Connections(local)),
        COPY => Arc::new(copy::Copy(local)),
        EMPTY => Arc::new(empty::Empty(local)),
        FOLDER => Arc::new(folder::MakeFolder(local)),
        FORGET => Arc::new(forget::Forget(local)),
        KEYS => Arc::new(keys::Keys(local)),
        PROGRAM => Arc::new(program::Program(local)),
        READY => Arc::new(ready::Ready(local)),
        REMOVE => Arc::new(remove::Remove(local)),
        RESERVE => Arc::new(reserve::Reserve(local)),
        SNAPSHOT => Arc::new(snapshot::Snapshot(local)),
        START => Arc::new(start::Start(local)),
        STOP => Arc::new(stop::Stop(local)),
        SWITCH => Arc::new(switch::Switch(local)),
        VERIFY => Arc::new(verify::Verify(local)),
        _ => return None,
    })
}
