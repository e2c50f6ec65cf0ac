//! The one place that prints: data to stdout, messages to stderr.
//!
//! What it prints may come from a stranger: from a message that someone stored, or from a server. So everything is made
//! harmless here, on a terminal and in a pipe, and clippy refuses other ways to print. Control characters and invisible ones
//! are shown as escapes, which in JSON keep its value. The further lines of a text are marked, so that none looks like a line
//! of the program. Messages are of one line, and addresses in them lose their user, password and query.

mod steps;

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memcloud_domain::{is_invisible, one_line, visible, visible_json, without_userinfo};
use owo_colors::{OwoColorize, Style};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use crate::failure::{Exit, Failure};

pub(crate) use steps::{StepList, StepMark};

/// How often progress is printed where no bar can be drawn.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// How the further lines of a text begin. No line of the program begins so.
const FURTHER: &str = "\n  | ";

/// What a command prints with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Data as JSON instead of text.
    pub(crate) json: bool,
    /// No messages, only data and errors.
    pub(crate) quiet: bool,
}

/// What a progress bar counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Messages of an import.
    Messages,
    /// Bytes of a download.
    Bytes,
}

/// A line of data, some of it dimmed where colors are on. Its texts are in one line each, unless they say otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Vec<(Emphasis, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emphasis {
    Plain,
    Dim,
}

impl Line {
    /// This line with more text.
    pub(crate) fn plain(self, text: impl AsRef<str>) -> Self {
        self.lines(one_line(text.as_ref()))
    }

    /// This line with more text, which is less important.
    pub(crate) fn dim(mut self, text: impl AsRef<str>) -> Self {
        self.0.push((Emphasis::Dim, one_line(text.as_ref())));
        self
    }

    /// This line with what someone said, which may have several lines. Those after the first are marked.
    pub(crate) fn said(self, text: &str) -> Self {
        self.lines(text.replace("\r\n", "\n").replace('\n', FURTHER))
    }

    /// This line with lines of the program itself.
    pub(crate) fn lines(mut self, text: impl Into<String>) -> Self {
        self.0.push((Emphasis::Plain, text.into()));
        self
    }
}

impl<T: AsRef<str>> From<T> for Line {
    fn from(text: T) -> Self {
        Self::default().plain(text)
    }
}

impl Output {
    /// Prints one line of data.
    #[expect(clippy::unused_self, reason = "data is printed through the same value as everything else")]
    pub(crate) fn data(self, line: impl Into<Line>) {
        let mut out = stdout().lock();
        let colors = colors_on(&out);
        let shown = line.into().0.into_iter().map(|(emphasis, text)| {
            let text = harmless(&text);
            if colors && emphasis == Emphasis::Dim { text.dimmed().to_string() } else { text }
        });
        write_line(&mut out, &shown.collect::<String>());
    }

    /// Prints data as JSON: indented on a terminal, in one line otherwise.
    #[expect(clippy::unused_self, reason = "data is printed through the same value as everything else")]
    pub(crate) fn value(self, value: &impl Serialize) {
        let mut out = stdout().lock();
        let text = if out.is_terminal() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        // It fails only on keys that are not text, which no data of a command has.
        write_line(&mut out, &visible_json(&text.unwrap_or_default()));
    }

    /// Prints an answer: as JSON for programs, or as `show` does for people.
    pub(crate) fn answer(self, value: &impl Serialize, show: impl FnOnce(Self)) {
        if self.json { self.value(value) } else { show(self) }
    }

    /// Prints a part of a line of data at once.
    #[expect(clippy::unused_self, reason = "data is printed through the same value as everything else")]
    pub(crate) fn piece(self, text: &str) {
        let mut out = stdout().lock();
        // A reader that has gone needs no more output.
        let _ = write!(out, "{}", harmless(text)).and_then(|()| out.flush());
    }

    /// Prints the prompt of a person.
    pub(crate) fn prompt(self, text: &str) {
        if self.talks_with_person() {
            let mut err = stderr().lock();
            let text = paint(&message(text), Style::new().cyan());
            // A closed terminal shows nothing.
            let _ = write!(err, "{text}").and_then(|()| err.flush());
        }
    }

    /// Whether a person types what the program reads, and reads its messages.
    pub(crate) fn talks_with_person(self) -> bool {
        !self.quiet && io::stdin().is_terminal() && stderr().is_terminal()
    }

    /// Prints a message about the progress of a command.
    pub(crate) fn say(self, line: impl AsRef<str>) {
        if !self.quiet {
            write_line(&mut stderr().lock(), &message(line.as_ref()));
        }
    }

    /// Prints a warning and its hint.
    pub(crate) fn warn(self, warning: &str, hint: &str) {
        if !self.quiet {
            labeled("warning:", Style::new().yellow(), &message(warning));
            labeled("hint:", Style::new().cyan(), &harmless(&one_line(hint)));
        }
    }

    /// Prints an error and its hint, also when messages are off.
    pub(crate) fn failure(self, failure: &Failure) {
        let Failure { message: error, hint, exit } = failure;
        if self.json {
            let line =
                json!({"error": without_userinfo(error), "hint": hint, "exit": *exit as u8}).to_string();
            write_line(&mut stderr().lock(), &visible_json(&line));
        } else {
            labeled("error:", Style::new().red(), &message(error));
            labeled("hint:", Style::new().cyan(), &harmless(&one_line(hint)));
        }
    }

    /// Shows the progress of something long: a bar on a terminal, a line now and then elsewhere.
    pub(crate) fn progress(self, doing: &str, unit: Unit) -> Progress {
        let on_terminal = stderr().is_terminal() && !self.quiet;
        let target = if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style(unit));
        bar.set_message(message(doing));
        Progress { output: self, bar, unit, plain: !on_terminal, printed: Instant::now() }
    }
}

/// Prints the messages of the command line's parser: help to stdout, a wrong command line to stderr.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    let text = error.render();
    let plain = text.to_string();
    let is_harmless = !plain.contains(is_invisible);
    let shown = |colors: bool| if colors && is_harmless { text.ansi().to_string() } else { harmless(&plain) };
    // When printing fails, there is no reader.
    if error.use_stderr() {
        let mut err = stderr().lock();
        let _ = write!(err, "{}", shown(colors_on(&err)));
        return Exit::Usage;
    }
    let mut out = stdout().lock();
    let _ = write!(out, "{}", shown(colors_on(&out)));
    Exit::Ok
}

/// Asks a yes-or-no question. `None` when the input is not a terminal.
pub(crate) fn ask(question: &str) -> Option<bool> {
    let answer = ask_text(&format!("{question} [y/N]"))?;
    Some(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a text. `None` when the input is not a terminal.
pub(crate) fn ask_text(question: &str) -> Option<String> {
    if !io::stdin().is_terminal() || !stderr().is_terminal() {
        return None;
    }
    let mut err = stderr().lock();
    // A closed terminal answers nothing, which counts as no.
    let _ = write!(err, "{} ", message(question)).and_then(|()| err.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}

/// Asks for a secret, which the terminal does not show. `None` when the input is not a terminal, or does not hide it.
pub(crate) fn ask_secret(question: &str) -> Option<SecretString> {
    let terminal = io::stdin();
    let shown = tcgetattr(&terminal).ok()?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &hidden).ok()?;
    let answer = ask_text(question);
    // What was typed did not end the line.
    write_line(&mut stderr().lock(), "");
    // It worked before.
    let _ = tcsetattr(&terminal, OptionalActions::Flush, &shown);
    answer.map(SecretString::from)
}

#[expect(clippy::disallowed_methods, reason = "here everything is printed")]
fn stdout() -> io::Stdout {
    io::stdout()
}

#[expect(clippy::disallowed_methods, reason = "here everything is printed")]
fn stderr() -> io::Stderr {
    io::stderr()
}

/// A text that cannot steer a terminal or hide anything in it. A line end of Windows stays a line end.
fn harmless(text: &str) -> String {
    visible(&text.replace("\r\n", "\n"))
}

/// A message as it is printed: in one line, because it may quote a stranger. Addresses in hints are examples.
fn message(text: &str) -> String {
    harmless(&one_line(&without_userinfo(text)))
}

fn labeled(label: &str, style: Style, text: &str) {
    write_line(&mut stderr().lock(), &format!("{} {text}", paint(label, style.bold())));
}

/// The progress of something long.
pub(crate) struct Progress {
    output: Output,
    bar: ProgressBar,
    unit: Unit,
    plain: bool,
    printed: Instant,
}

impl Progress {
    /// Shows that this much is done.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.plain && (self.printed.elapsed() >= PLAIN_EVERY) {
            self.printed = Instant::now();
            let amount = match self.unit {
                Unit::Messages => format!("{done} of {total} messages"),
                Unit::Bytes => format!("{:.1} of {:.1} MB", done as f64 / 1e6, total as f64 / 1e6),
            };
            self.output.say(format!("{}: {amount}", self.bar.message()));
        }
    }

    /// Shows what is being done now.
    pub(crate) fn rename(&self, doing: &str) {
        let doing = message(doing);
        if self.bar.message() != doing {
            self.bar.set_message(doing);
        }
    }

    /// Ends it, and removes the bar.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

fn style(unit: Unit) -> ProgressStyle {
    let template = match unit {
        Unit::Messages => "{msg} {wide_bar} {human_pos}/{human_len} messages, {per_sec}, {eta} left",
        Unit::Bytes => {
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left"
        }
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Text for stderr, in color where colors are on.
fn paint(text: &str, style: Style) -> String {
    if colors_on(&stderr()) { text.style(style).to_string() } else { text.to_owned() }
}

/// Whether colors are on: on a terminal that has them, unless `NO_COLOR` is set.
#[expect(clippy::disallowed_methods, reason = "the variables of the terminal are not settings")]
pub(crate) fn colors_on(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Writes a line. A reader that has gone (a closed pipe) is not an error.
fn write_line(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{line}");
}
