//! The pages in docs/reference/ that describe the command line and the settings.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use crate::failure::Exit;
use crate::settings::{self, Setting};

/// The reference follows from the definitions. `UPDATE_DOCS=1` writes it.
#[test]
#[expect(clippy::disallowed_methods, reason = "a switch of the test, not a setting")]
fn the_reference_is_up_to_date() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for (page, written) in [("cli", command_line()), ("settings", settings())] {
        let path = docs.join(format!("{page}.md"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &written).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == written,
            "docs/reference/{page}.md is old: run UPDATE_DOCS=1 cargo test -p memcloud reference"
        );
    }
}

/// The command line, from its own definitions.
fn command_line() -> String {
    let mut page = String::from(
        "# The command line\n\nWritten by `UPDATE_DOCS=1 cargo test -p memcloud reference` from the definitions.\n\n\
         Data goes to stdout, messages to stderr. Colors are off when `NO_COLOR` is set or the output is not a terminal. A\n\
         progress bar is drawn on a terminal; elsewhere a line is printed every few seconds. Settings: [settings.md](settings.md).\n\n\
         ## Exit codes\n\n| code | meaning |\n|---|---|\n",
    );
    for (exit, meaning) in Exit::ALL {
        row(&mut page, &[&(exit as u8).to_string(), meaning]);
    }
    let mut program = Cli::command();
    program.build();
    page.push_str("\n## Flags of every command\n\n");
    flags(&mut page, program.get_arguments().filter(|arg| arg.is_global_set()));
    for command in shown(&program) {
        section(&mut page, command.get_name(), command);
    }
    page
}

/// The subcommands that users can run.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// A section for a command, or one for each of its subcommands.
fn section(page: &mut String, name: &str, command: &Command) {
    if command.has_subcommands() {
        return shown(command)
            .for_each(|inner| section(page, &format!("{name} {}", inner.get_name()), inner));
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    line(page, &format!("\n## memcloud {name}\n\n{about}.\n\n```\n{usage}\n```\n"));
    flags(
        page,
        command
            .get_arguments()
            .filter(|arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help"),
    );
}

fn flags<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    page.push_str("| argument | meaning |\n|---|---|\n");
    for arg in args {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default = arg.get_default_values().iter().find_map(|value| value.to_str());
        let default =
            default.filter(|_| arg.get_action().takes_values()).map(|value| format!(" [default: {value}]"));
        let choices: Vec<String> = arg
            .get_possible_values()
            .iter()
            .map(|value| value.get_name().to_owned())
            .filter(|_| arg.get_action().takes_values())
            .collect();
        let choices = if choices.is_empty() { String::new() } else { format!(" ({})", choices.join(", ")) };
        let meaning = format!("{help}{choices}{}", default.unwrap_or_default());
        row(page, &[&format!("`{}`", spelling(arg)), &meaning]);
    }
}

/// `-n, --limit <N>`, `<TEXT>`
fn spelling(arg: &Arg) -> String {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let value = arg.get_action().takes_values().then(|| {
        let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        format!("<{}>", name.unwrap_or_else(|| arg.get_id().as_str().to_uppercase()))
    });
    let names = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    [Some(names).filter(|names| !names.is_empty()), value].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The settings, from their table.
fn settings() -> String {
    let mut page = String::from(
        "# Settings\n\nWritten by `UPDATE_DOCS=1 cargo test -p memcloud reference` from the table in\n\
         `crates/memcloud/src/settings/names.rs`.\n\n\
         A flag wins over the environment, and the environment over the settings file (TOML). The key in the file is the\n\
         name in lower case without `MEMCLOUD_`. A secret can also come from a file: put the path into the variable whose\n\
         name ends in `_FILE`. Secrets are never logged.\n\n\
         A pair of quotes and a line end around a value are removed: container tools and editors leave them there. A path\n\
         may begin with `~` or `$HOME`; any other variable in it is refused.\n\n\
         | variable | flag | key in the file | default | meaning |\n|---|---|---|---|---|\n",
    );
    for setting in settings::ALL {
        row(
            &mut page,
            &[&names(setting), &code(setting.flag), &code(&setting.key()), setting.default, setting.meaning],
        );
    }
    page
}

fn names(setting: &Setting) -> String {
    let name = code(setting.name);
    if setting.secret { format!("{name}, {}", code(&setting.file_variable())) } else { name }
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    line(page, &format!("| {} |", cells.join(" | ")));
}

fn line(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}
