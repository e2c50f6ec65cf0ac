use clap::CommandFactory;

use crate::cli::Cli;
use crate::commands::Context;
use crate::failure::Exit;
use crate::output::Line;

/// Print the completions of a shell, to be sourced by it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args, context: &Context) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "memcloud", &mut script);
    context.output.data(Line::default().lines(String::from_utf8_lossy(&script).trim_end()));
    Exit::Ok
}
