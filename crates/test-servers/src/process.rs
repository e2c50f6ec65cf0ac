//! Server processes.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::patience;

/// A process that is killed when its handle is dropped.
#[derive(Debug)]
pub struct Process(Child);

/// A command whose process gets a signal, named as `kill` names it, when this program ends for any reason.
///
/// This relies on `setpriv`, which Linux has. Elsewhere a server outlives a test program that is killed.
pub fn bound_to_this_program(program: &OsStr, signal: &str) -> Command {
    let Some(setpriv) = in_path("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// The path of a program, if it is installed.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The thread that starts all processes. Linux treats the end of the thread that started a process as the end of
/// the parent, and test threads end before the servers that they share.
static STARTER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, waiting) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in waiting {
            // The caller waits for the answer.
            let _ = answer.send(command.spawn());
        }
    });
    orders
});

impl Process {
    /// Starts it. It must not outlive this program, so the command comes from [`bound_to_this_program`].
    pub fn start(command: Command) -> Result<Self> {
        let program = command.get_program().display().to_string();
        let (answer, started) = mpsc::channel();
        STARTER.send((command, answer)).context("the thread that starts processes is gone")?;
        let child = started.recv().context("the thread that starts processes is gone")?;
        Ok(Self(child.with_context(|| format!("cannot run {program}: is it installed?"))?))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal, unless the process has ended and its id may have been reused.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self::signal(self.id(), signal);
        }
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("cannot watch a process")
    }

    /// Whether it ends within this time.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> Result<bool> {
        Ok(patience::until(limit, || self.ended())?.is_some())
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        // A process that has already ended is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The running children of a process, according to `/proc`.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| running_parent(*id) == Some(parent)).collect()
}

/// Sends a signal to any process; ignores one that has ended.
pub(crate) fn signal(id: u32, signal: Signal) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    let _ = id.map(|id| kill_process(id, signal));
}

/// Whether a process runs, according to the system.
pub(crate) fn runs(id: u32) -> bool {
    running_parent(id).is_some()
}

/// The parent of a running process, from `pid (name) state parent …`, where the name may contain anything.
fn running_parent(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let dead = matches!(fields.next()?, "Z" | "X");
    fields.next().filter(|_| !dead)?.parse().ok()
}
