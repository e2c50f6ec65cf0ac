use std::ffi::{OsStr, OsString};
use std::process::Command;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::Databases;
use crate::steps::{pass, say, target_dir};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A command to run on the databases, such as `cargo test -p memcloud`, instead of waiting
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Sets up the databases, starts the two shared ones, and keeps them until a command has ended, or else until Ctrl-C
/// or the end of stdin.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let databases = Databases::start(&target_dir()?)?;
    if let Some((program, arguments)) = args.command.split_first() {
        let mut command = Command::new(program);
        return pass(command.args(arguments).envs(databases.environment().iter().cloned()));
    }
    for (name, value) in databases.environment() {
        say(&format!("export {name}={}", quoted(value)));
    }
    say("# Both run until Ctrl-C.");
    wait()?;
    Ok(true)
}

/// As one word of a shell.
pub(crate) fn quoted(value: &OsStr) -> String {
    format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"))
}

/// Waits for Ctrl-C, SIGTERM or the end of stdin.
fn wait() -> Result<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        // Only the end matters; what is typed does not.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = end => {}
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_quoted() {
        let value = r#"a 'b' "$c" \ #d"#;
        let script = format!("printf %s {}", quoted(OsStr::new(value)));
        let read = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&read.stdout), value);
    }
}
