//! The process of an instance: started, awaited and stopped.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use memcloud_client::{Client, Error as ClientError};
use memcloud_domain::with_causes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::environment::variables;
use super::process_file::{ProcessRecord, holder, record};
use super::{Local, Placement, files, log, placement};
use crate::InstanceId;
use crate::instances::{Instance, Reason};

/// How often a process that begins or ends is observed.
const OBSERVE_EVERY: Duration = Duration::from_millis(5);
/// How often an instance is asked whether it is ready, at first and after a while.
const ASK_EVERY: Duration = Duration::from_millis(10);
const ASK_LATER_EVERY: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(3);
/// How long a process may take to hold its file. It does so before anything else.
const CLAIMS_WITHIN: Duration = Duration::from_secs(20);
/// How long an instance may take to listen: it may have to fetch its model and to migrate its data.
pub(super) const LISTENS_WITHIN: Duration = Duration::from_mins(5);
/// How long an instance that listens may say that a part of it does not work.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long one answer about readiness may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a process may take to end after SIGTERM. `memcloud serve` needs five seconds at most.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// The same after SIGKILL.
const DIES_WITHIN: Duration = Duration::from_secs(10);

impl Local {
    /// The process of an instance, if it lives.
    pub(super) fn alive(&self, id: &InstanceId) -> Result<Option<Pid>, Reason> {
        let path = self.folder(id).process_file();
        holder(&path).map_err(|error| files::failed("read who holds", &path, &error))
    }

    /// Starts the process of an instance unless it lives, and returns once it is the one of the instance. Also returns where
    /// its part of the log begins.
    pub(super) async fn start(&self, instance: &Instance) -> Result<u64, Reason> {
        let log = self.folder(&instance.id).log();
        if self.alive(&instance.id)?.is_some() {
            return Ok(log::end(&log));
        }
        let placement = Placement::of(instance)?;
        let listen = placement.listen()?;
        if !placement::is_free(listen) {
            return Err(Reason::new(
                format!("the address {listen} is taken: another program listens there"),
                "stop that program, then start the instance",
            ));
        }
        let (mut child, from) = self.spawn(instance, &placement).await?;
        let began = Instant::now();
        while self.alive(&instance.id)?.is_none() {
            let ended = child.try_wait().ok().flatten();
            // It may have ended because another process took the file first.
            if let Some(status) = ended.filter(|_| self.alive(&instance.id).is_ok_and(|pid| pid.is_none())) {
                return Err(ended_early(&log, from, Some(status)));
            }
            if began.elapsed() > CLAIMS_WITHIN {
                let _ = child.start_kill();
                let hint = "retry; the machine may be overloaded";
                return Err(Reason::new("the process did not begin its work", hint));
            }
            sleep(OBSERVE_EVERY).await;
        }
        self.reap(&instance.id, child);
        Ok(from)
    }

    async fn spawn(&self, instance: &Instance, placement: &Placement) -> Result<(Child, u64), Reason> {
        let folder = self.folder(&instance.id);
        let settings = self.setup.settings.settings(&instance.id).await?;
        let log = folder.log();
        let unlogged = |error: &std::io::Error| files::failed("write", &log, error);
        let stdout = log::open(&log).map_err(|error| unlogged(&error))?;
        let from = log::end(&log);
        let stderr = stdout.try_clone().map_err(|error| unlogged(&error))?;
        let program = self.programs.path(placement.program()?);
        let mut command = self.command(&program);
        command
            .arg("serve")
            .arg("--process-file")
            .arg(folder.process_file())
            .arg("--log-file")
            .arg(&log)
            .envs(variables(&settings))
            .env("MEMCLOUD_DATA_DIR", placement.data_dir()?)
            .env("MEMCLOUD_LISTEN", placement.listen()?.to_string())
            .current_dir(folder.path())
            .stdout(stdout)
            .stderr(stderr)
            // A signal to the console's group, such as Ctrl-C, is not for its instances.
            .process_group(0);
        let began = Instant::now();
        let child = loop {
            match command.spawn() {
                // Another thread that starts a process has the copy of the program open for writing for a moment.
                Err(error)
                    if error.kind() == ErrorKind::ExecutableFileBusy && began.elapsed() < CLAIMS_WITHIN =>
                {
                    sleep(OBSERVE_EVERY).await;
                }
                spawned => break spawned.map_err(|error| files::failed("start", &program, &error))?,
            }
        };
        tracing::info!(instance = %instance.id, name = %instance.name, pid = child.id(), "started an instance");
        Ok((child, from))
    }

    /// A program with the variables that all instances have, and nothing else of the console.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let variables = self.setup.environment.iter().map(|(name, value)| (name, value));
        // The settings file of the user of the console is not that of an instance.
        command.env_clear().envs(variables).env("MEMCLOUD_CONFIG", "/dev/null").stdin(Stdio::null());
        command
    }

    /// Runs a command of a program to its end.
    pub(super) async fn run(&self, mut command: Command, limit: Duration) -> Result<String, Reason> {
        let program = command.as_std().get_program().to_owned();
        let program = Path::new(&program);
        let output = timeout(limit, command.kill_on_drop(true).output()).await.map_err(|_| {
            let what = format!("{} did not end within {} seconds", program.display(), limit.as_secs());
            Reason::new(what, "retry; the machine may be overloaded")
        })?;
        let output = output.map_err(|error| files::failed("run", program, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let printed = String::from_utf8_lossy(&output.stderr);
        Err(log::failure_in(&printed).unwrap_or_else(|| {
            let (program, status) = (program.display(), output.status);
            Reason::new(format!("{program} ended with {status}"), "check that it is a memcloud, and retry")
        }))
    }

    /// Waits for the end of a child, so that the system forgets it.
    fn reap(&self, id: &InstanceId, mut child: Child) {
        let id = id.clone();
        self.setup.tasks.spawn("process of an instance", |stop| async move {
            // When the console ends, the child goes on.
            if let Some(Ok(status)) = stop.run_until_cancelled(child.wait()).await {
                tracing::info!(instance = %id, %status, "the process of an instance ended");
            }
        });
    }

    /// Waits until the process of an instance says that all its parts work. Returns what it says about itself.
    pub(super) async fn await_ready(
        &self,
        instance: &Instance,
        log_from: u64,
    ) -> Result<ProcessRecord, Reason> {
        let (folder, client) = (self.folder(&instance.id), self.client(instance).await?);
        let began = Instant::now();
        let mut listens_since = None;
        loop {
            let Some(pid) = self.alive(&instance.id)? else {
                return Err(ended_early(&folder.log(), log_from, None));
            };
            let record = record(&folder.process_file());
            // Until its own process says so, another program may be what answers there.
            if let Some(record) = record.filter(|record| record.pid.cast_signed() == pid.as_raw_pid()) {
                let since = *listens_since.get_or_insert_with(Instant::now);
                match is_ready(&client).await? {
                    None => return Ok(record),
                    Some(reason) if since.elapsed() > READY_WITHIN => return Err(reason),
                    Some(_) => {}
                }
            } else if began.elapsed() > LISTENS_WITHIN {
                return Err(Reason::new(
                    format!("the instance did not listen within {} minutes", LISTENS_WITHIN.as_secs() / 60),
                    "read its log with 'memcloud instances logs', then retry",
                ));
            }
            sleep(if began.elapsed() < LATER { ASK_EVERY } else { ASK_LATER_EVERY }).await;
        }
    }

    /// Stops the process of an instance. Returns whether it lived.
    pub(super) async fn stop(&self, id: &InstanceId) -> Result<bool, Reason> {
        for (signal, patience) in [(Signal::TERM, ENDS_WITHIN), (Signal::KILL, DIES_WITHIN)] {
            let Some(pid) = self.alive(id)? else { return Ok(signal == Signal::KILL) };
            if signal == Signal::KILL {
                tracing::warn!(instance = %id, pid = pid.as_raw_pid(), "an instance does not stop; killing it");
            }
            match kill_process(pid, signal) {
                // It ended in between.
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => {
                    let what = format!("cannot stop the process {}: {error}", pid.as_raw_pid());
                    return Err(Reason::new(what, "run the console as the user who started the instance"));
                }
            }
            let began = Instant::now();
            while began.elapsed() < patience {
                if self.alive(id)?.is_none() {
                    return Ok(true);
                }
                sleep(OBSERVE_EVERY).await;
            }
        }
        Err(Reason::new(
            "the process does not end, not even when it is killed",
            "it may wait for a disk that does not answer: check the disks of this machine, then retry",
        ))
    }
}

/// `None` when the instance is ready, else why it is not. Fails where waiting is of no use.
async fn is_ready(client: &Client) -> Result<Option<Reason>, Reason> {
    let hint = "'memcloud doctor' tries every part of the instance";
    match timeout(ANSWERS_WITHIN, client.ready()).await {
        Ok(Ok(_)) => Ok(None),
        Ok(Err(ClientError::Refused(refusal))) => {
            let reason = Reason::new(&refusal.detail, refusal.hint.as_deref().unwrap_or(hint));
            if matches!(refusal.status, 401 | 403) { Err(reason) } else { Ok(Some(reason)) }
        }
        Ok(Err(error)) => Ok(Some(Reason::new(with_causes(&error), hint))),
        Err(_) => Ok(Some(Reason::new("the instance does not answer whether it is ready", hint))),
    }
}

fn ended_early(log: &Path, from: u64, status: Option<ExitStatus>) -> Reason {
    log::last_failure(log, from).unwrap_or_else(|| {
        let status = status.map(|status| format!(" with {status}")).unwrap_or_default();
        let lines = log::last_lines(log, from);
        let lines = if lines.is_empty() { lines } else { format!(": {lines}") };
        Reason::new(
            format!("the process ended{status} before it was ready{lines}"),
            "retry the operation; while the instance is there, 'memcloud instances logs' shows its log",
        )
    })
}
