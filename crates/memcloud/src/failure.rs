use memcloud_domain::with_causes;

use crate::hint::hint;

/// How the program ends. The numbers are part of the command line's contract: see `docs/reference/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Ok = 0,
    /// Something failed.
    Failed = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// Nothing was found: a search without results, nothing to forget.
    Nothing = 3,
    /// The server could not be reached.
    Unreachable = 4,
    /// The server did not accept the key, or accepted it and does not permit the request.
    KeyRefused = 5,
    /// The process of this instance runs already.
    AlreadyRunning = 6,
}

impl Exit {
    /// All of them with their meaning, for the reference in docs/.
    #[cfg(test)]
    pub(crate) const ALL: [(Self, &str); 7] = [
        (Self::Ok, "done"),
        (Self::Failed, "failed; stderr says what happened and what to do"),
        (Self::Usage, "the command line or a setting is wrong; nothing was done"),
        (Self::Nothing, "nothing was found: a search without results, or nothing to forget"),
        (Self::Unreachable, "the server could not be reached"),
        (Self::KeyRefused, "the server did not accept the key, or the key does not permit the request"),
        (Self::AlreadyRunning, "the console started the process of an instance that runs already"),
    ];
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to: what happened, what to do next, and how the program ends.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: String,
    /// How the program ends.
    pub(crate) exit: Exit,
}

impl Failure {
    /// Something failed.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), exit: Exit::Failed }
    }

    /// The command line or a setting is wrong.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message, hint) }
    }

    /// The same failure with another way to end.
    pub(crate) fn ending(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Something that the command names is unknown; the hint is the command that lists what there is.
    pub(crate) fn listing(error: memcloud_client::Error, hint: &str) -> Self {
        let failure = Self::from(error);
        if failure.exit == Exit::Nothing { Self { hint: hint.to_owned(), ..failure } } else { failure }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(doing: &str, path: impl AsRef<std::path::Path>, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => "check the owner and the permissions of the path",
            std::io::ErrorKind::StorageFull => "free space on that disk",
            std::io::ErrorKind::ReadOnlyFilesystem => "choose a path on a writable disk",
            _ => "check the path and the disk it is on",
        };
        Self::new(format!("cannot {doing} {}: {error}", path.as_ref().display()), hint)
    }
}

impl From<memcloud_domain::Error> for Failure {
    fn from(error: memcloud_domain::Error) -> Self {
        Self::new(with_causes(&error), hint(&error))
    }
}
