use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::instances::{Instance, Reason};
use crate::operations::{Job, Step};
use crate::targets::local::placement::is_free;
use crate::targets::local::{Local, Placement};

/// Chooses the address, the data directory and the program of an instance, and writes them down.
pub(super) struct Reserve(pub(super) Arc<Local>);

#[async_trait]
impl Step for Reserve {
    async fn run(&self, job: &Job) -> Result<Value, Reason> {
        let local = &self.0;
        let _choosing = local.choosing.lock().await;
        let instance = &job.instance;
        let mut placement = Placement::of(instance)?;
        let lives = local.alive(&instance.id)?.is_some();
        let listen = match placement.listen {
            Some(listen) if lives || is_free(listen) => listen,
            Some(listen) if given(job).is_some() => return Err(taken(listen)),
            _ => free_address(&local.setup.ports, &local.all_instances().await?, instance)?,
        };
        placement.listen = Some(listen);
        placement.data_dir.get_or_insert_with(|| local.folder(&instance.id).data());
        placement.program.get_or_insert_with(|| local.program.clone());
        local.place(&instance.id, &placement).await?;
        Ok(json!({"listen": listen}))
    }

    async fn undo(&self, job: &Job) -> Result<(), Reason> {
        let placement = Placement { listen: given(job), ..Placement::of(&job.instance)? };
        self.0.place(&job.instance.id, &placement).await
    }
}

/// The address that the instance was given.
fn given(job: &Job) -> Option<SocketAddr> {
    job.inputs["given"].as_str().and_then(|given| given.parse().ok())
}

/// An address that no other instance has and where no program listens.
fn free_address(
    ports: &RangeInclusive<u16>,
    instances: &[Instance],
    own: &Instance,
) -> Result<SocketAddr, Reason> {
    let others = instances.iter().filter(|other| other.id != own.id);
    let taken: Vec<u16> =
        others.filter_map(|other| Some(Placement::of(other).ok()?.listen?.port())).collect();
    let addresses =
        ports.clone().filter(|port| !taken.contains(port)).map(|port| (Ipv4Addr::LOCALHOST, port).into());
    addresses.into_iter().find(|address: &SocketAddr| is_free(*address)).ok_or_else(|| {
        Reason::new(
            format!("no port from {} to {} is free", ports.start(), ports.end()),
            "delete instances, or stop other programs that listen there, then retry",
        )
    })
}

fn taken(listen: SocketAddr) -> Reason {
    Reason::new(
        format!("the address {listen} is taken: another program listens there"),
        "stop that program, or choose another address with --instance-listen",
    )
}
