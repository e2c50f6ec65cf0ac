//! Processes of servers.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::patience;

/// A process that dies with its handle.
#[derive(Debug)]
pub(crate) struct Process(Child);

/// A command whose process is sent a signal, named as `kill` names it, when this program ends in whatever way.
///
/// That is asked of `setpriv`, which Linux has. Elsewhere a server outlives a test program that is killed.
pub(crate) fn bound_to_this_program(program: &OsStr, signal: &str) -> Command {
    let Some(setpriv) = in_path("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// Where a program lies, if it is installed.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The thread that starts all processes. Linux takes the end of the thread that started a process for the end of the
/// parent, and the threads of tests end before the servers that they share.
static STARTER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, waiting) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in waiting {
            // Whoever ordered it waits for the answer.
            let _ = answer.send(command.spawn());
        }
    });
    orders
});

impl Process {
    pub(crate) fn start(command: Command) -> Result<Self> {
        let program = command.get_program().display().to_string();
        let (answer, started) = mpsc::channel();
        STARTER.send((command, answer)).context("the thread that starts processes is gone")?;
        let child = started.recv().context("the thread that starts processes is gone")?;
        Ok(Self(child.with_context(|| format!("cannot run {program}: is it installed?"))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal, unless it has ended and its number may be another's.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self::signal(self.id(), signal);
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("cannot watch a process")
    }

    /// Whether it ends within this time.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> Result<bool> {
        Ok(patience::until(limit, || self.ended())?.is_some())
    }

    /// Ends it at once, whatever it is doing.
    pub(crate) fn kill(&mut self) {
        // One that has ended already is what was wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processes that a process has started and that still run, as far as the system tells in `/proc`.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| running_parent(*id) == Some(parent)).collect()
}

/// Sends a signal to a process, which need not be a child of this program; to one that has ended, none.
pub(crate) fn signal(id: u32, signal: Signal) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    let _ = id.map(|id| kill_process(id, signal));
}

/// Whether a process runs, as far as the system tells.
pub(crate) fn runs(id: u32) -> bool {
    running_parent(id).is_some()
}

/// The parent of a process that runs: `pid (name) state parent …`, where the name may hold anything.
fn running_parent(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let dead = matches!(fields.next()?, "Z" | "X");
    fields.next().filter(|_| !dead)?.parse().ok()
}
