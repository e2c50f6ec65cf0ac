use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memcloud_control::{Seal, SealError};
use secrecy::ExposeSecret;

use crate::failure::Failure;
use crate::private_file;
use crate::settings::{SEALING_KEY, Sources};

/// How long the lock of a console that was killed is waited for: a child that it was starting holds the lock as well, until it
/// runs its own program.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The folder that a console keeps its things in, held by this process.
///
/// ```text
/// <data>/console/console.db     what it knows
///                sealing.key    opens the secrets in there
///                lock           held by the console while it lives
///                instances/     a folder for each instance
///                programs/      what instances run
/// ```
pub(crate) struct ConsoleFolder {
    path: PathBuf,
    /// The lock, for as long as this lives.
    _lock: File,
}

impl ConsoleFolder {
    /// That of a data directory.
    pub(crate) fn of(data_dir: &Path) -> PathBuf {
        data_dir.join("console")
    }

    /// Makes it, and takes it for this process. No other console may hold it.
    pub(crate) async fn take(data_dir: &Path) -> Result<Self, Failure> {
        let path = Self::of(data_dir);
        let failed = |error: &std::io::Error| Failure::file("write", &path, error);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| failed(&error))?;
        let lock = path.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let lock = open.map_err(|error| failed(&error))?;
        let since = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_PATIENCE => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::new(
                        format!("another 'memcloud up' runs on {}", data_dir.display()),
                        "use that one ('memcloud instances list' shows what it runs), or choose another --data-dir",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("console.db")
    }

    /// The keys that seal: those of the settings, or the one that is made at the first start.
    pub(super) fn seal(&self, sources: &Sources) -> Result<Seal, Failure> {
        if let Some(keys) = sources.secret(&SEALING_KEY, None)? {
            return Seal::from_text(keys.expose_secret()).map_err(|error| wrong(SEALING_KEY.name, &error));
        }
        let path = self.path.join("sealing.key");
        let keys = match std::fs::read_to_string(&path) {
            Ok(keys) => keys,
            // With a database it is not the first start: another key could not open what the database holds.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.database().exists() => {
                let key = format!("{}\n", Seal::make_key());
                private_file::replace(&path, key.as_bytes())
                    .map_err(|error| Failure::file("write", &path, &error))?;
                key
            }
            Err(error) => {
                return Err(Failure::new(
                    format!(
                        "cannot read {}, which opens the secrets of the console: {error}",
                        path.display()
                    ),
                    format!("restore the file, or give its key in {}", SEALING_KEY.name),
                ));
            }
        };
        Seal::from_text(&keys).map_err(|error| wrong(&path.display().to_string(), &error))
    }
}

fn wrong(place: &str, error: &SealError) -> Failure {
    Failure::usage(
        format!("{place}: {error}"),
        "restore the key: without it the secrets of the console cannot be read",
    )
}
