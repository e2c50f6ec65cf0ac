//! What is there and belongs to no instance.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rustix::process::Pid;

use super::folder::Folder;
use super::process_file::{holder, record};
use super::{Local, Placement, placement};
use crate::OrganizationId;
use crate::instances::{Instance, State};
use crate::targets::{Leftover, LeftoverKind};

/// Compares this machine with the instances, those that were removed among them.
pub(super) fn find(local: &Local, instances: &[Instance]) -> Vec<Leftover> {
    let known: HashMap<&str, &Instance> =
        instances.iter().map(|instance| (instance.id.as_str(), instance)).collect();
    let mut found = Vec::new();
    let folders = fs::read_dir(Folder::all(&local.setup.data_dir)).into_iter().flatten().flatten();
    for entry in folders {
        let name = entry.file_name().to_string_lossy().into_owned();
        let instance = known.get(name.as_str()).copied();
        if instance.is_none_or(is_removed) {
            found.push(folder(&entry.path(), instance));
            let file = entry.path().join("process.json");
            found.extend(holder(&file).ok().flatten().map(|pid| process(&file, pid, instance)));
        }
    }
    found.extend(instances.iter().filter(|instance| is_removed(instance)).filter_map(given_data));
    found.extend(instances.iter().filter_map(|instance| port(local, instance)));
    found
}

fn is_removed(instance: &Instance) -> bool {
    instance.state == State::Removed
}

fn of(instance: &Instance) -> OrganizationId {
    instance.organization.clone()
}

fn folder(path: &Path, instance: Option<&Instance>) -> Leftover {
    let reason = match instance {
        Some(instance) => format!("the instance '{}' was deleted, and its data were kept", instance.name),
        None => "no instance of this console has this folder".to_owned(),
    };
    Leftover {
        kind: LeftoverKind::Folder,
        organization: instance.map(of),
        place: path.display().to_string(),
        reason,
        hint: "delete the folder when its data are no longer needed".into(),
    }
}

/// The data directory outside the console's folders that a removed instance had.
fn given_data(instance: &Instance) -> Option<Leftover> {
    let placement = Placement::of(instance).ok()?;
    let data_dir = placement.given_data_dir(&instance.id)?;
    data_dir.join("memory.sqlite3").exists().then(|| folder(data_dir, Some(instance)))
}

fn process(file: &Path, pid: Pid, instance: Option<&Instance>) -> Leftover {
    let pid = pid.as_raw_pid();
    let owner = match instance {
        Some(instance) => format!("the instance '{}' was deleted, and its process runs", instance.name),
        None => "no instance of this console has this process".to_owned(),
    };
    let listens = record(file).map(|record| format!("; it listens at {}", record.url)).unwrap_or_default();
    Leftover {
        kind: LeftoverKind::Process,
        organization: instance.map(of),
        place: pid.to_string(),
        reason: owner + &listens,
        hint: format!("stop it with 'kill {pid}'"),
    }
}

/// The address of an instance whose process is gone, where another program listens.
fn port(local: &Local, instance: &Instance) -> Option<Leftover> {
    if matches!(instance.state, State::Removed | State::Failed) {
        return None;
    }
    let listen = Placement::of(instance).ok()?.listen?;
    let is_gone = || local.alive(&instance.id).is_ok_and(|pid| pid.is_none());
    // The process may begin or end in between.
    let is_foreign = is_gone() && !placement::is_free(listen) && is_gone();
    is_foreign.then(|| Leftover {
        kind: LeftoverKind::Port,
        organization: Some(of(instance)),
        place: listen.to_string(),
        reason: format!("another program listens at the address of the instance '{}'", instance.name),
        hint: "stop that program before the instance is started".into(),
    })
}
