//! Settings that cannot be right are refused at the start, in one line that names the setting, before anything is
//! touched.

use std::path::Path;

use super::harness::Settings;
use crate::home::{Home, Ran, finish};

fn refused(home: &Home, settings: &Settings) -> Ran {
    let mut command = home.memcloud();
    let ran = finish(settings.apply(&mut command).args(["serve", "--offline", "--listen", "127.0.0.1:0"]));
    assert!(!home.data().exists(), "nothing is touched");
    ran.failed(2)
}

#[track_caller]
fn names_all(ran: &Ran, words: &[&str]) {
    let error = ran.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    let hint = ran.stderr.lines().find(|line| line.starts_with("hint: ")).unwrap();
    for word in words {
        assert!(error.contains(word) || hint.contains(word), "'{word}' is missing: {ran:?}");
    }
}

const SECRET: &str = "s3cret-pa55word";

#[test]
fn addresses_of_neo4j() {
    let home = Home::new();
    let with = |uri: &str| Settings::default().neo4j_at(uri).with("NEO4J_PASSWORD", SECRET);
    for (uri, words) in [
        ("http://localhost:7474", &["NEO4J_URI", "'http' is not a scheme", "bolt+s"][..]),
        ("neo4j+x://localhost", &["NEO4J_URI", "'neo4j+x' is not a scheme"]),
        ("localhost:7687", &["NEO4J_URI", "'localhost' is not a scheme"]),
        ("localhost", &["NEO4J_URI", "bolt://host:7687"]),
        ("bolt://", &["NEO4J_URI", "host"]),
        ("bolt://:7687", &["NEO4J_URI", "host"]),
        ("bolt://localhost:port", &["NEO4J_URI", "port"]),
        ("bolt://localhost/memory?x=1", &["NEO4J_URI", "after the port"]),
        (&format!("bolt://neo4j:12/{SECRET}@localhost"), &["NEO4J_URI", "%XX"]),
        (&format!("http://neo4j:{SECRET}@localhost:7474"), &["NEO4J_URI", "not a scheme"]),
        (&format!("bolt://neo4j:{SECRET}@localhost:70000"), &["NEO4J_URI", "port"]),
    ] {
        let ran = refused(&home, &with(uri));
        names_all(&ran, words);
        assert!(!ran.stderr.contains(SECRET), "{ran:?}");
    }
    let no_password = Settings::default().neo4j_at("bolt://localhost:7687");
    names_all(&refused(&home, &no_password), &["NEO4J_URI", "no password", "NEO4J_PASSWORD"]);
    let no_file = with("bolt+s://localhost").with("NEO4J_CA_FILE", "/nowhere/ca.pem");
    names_all(&refused(&home, &no_file), &["NEO4J_CA_FILE", "/nowhere/ca.pem", "PEM"]);
}

#[test]
fn addresses_of_postgres() {
    let home = Home::new();
    let long = format!("/tmp/{}", "x".repeat(90));
    for (name, value, words) in [
        ("DB_HOST", "/nowhere/cloudsql/p:r:i", &["DB_HOST", "is not a directory", "name the folder"][..]),
        ("DB_HOST", &long, &["DB_HOST", "107", "shorter"]),
        (
            "DATABASE_URL",
            &format!("mysql://a:{SECRET}@localhost/b"),
            &["DATABASE_URL", "'mysql' is not a scheme"],
        ),
        ("DATABASE_URL", "postgres://localhost/b", &["DATABASE_URL", "no user"]),
        ("DATABASE_URL", &format!("postgres://a:{SECRET}@/b"), &["DATABASE_URL", "host"]),
        (
            "DATABASE_URL",
            &format!("postgres://a:{SECRET}@h/b?sslmode=prefer"),
            &["DATABASE_URL", "prefer", "verify-full"],
        ),
        (
            "DATABASE_URL",
            &format!("postgres://a:{SECRET}@h/b?options=x"),
            &["DATABASE_URL", "unsupported parameter", "sslmode"],
        ),
        ("DB_HOST", "cloudsql/p:r:i", &["DB_HOST", "begins with a slash"]),
        ("DB_HOST", "localhost:5432", &["DB_HOST", "DB_PORT"]),
        ("DATABASE_URL", &format!("postgres://a:12/{SECRET}@h/b"), &["DATABASE_URL", "%XX"]),
        ("DATABASE_URL", SECRET, &["DATABASE_URL", "postgres://user"]),
    ] {
        let ran = refused(&home, &Settings::default().with(name, value));
        names_all(&ran, words);
        assert!(!ran.stderr.contains(SECRET), "{ran:?}");
    }
    // A file is not a directory, and neither is the socket itself.
    let file = home.write("socket", "");
    let ran = refused(&home, &Settings::default().with("DB_HOST", file.display().to_string()));
    names_all(&ran, &["DB_HOST", "is not a directory"]);
    for (name, value) in
        [("DB_PORT", "http"), ("DB_SSLMODE", "maybe"), ("DB_POOL", "0"), ("DB_CA_FILE", "/nowhere")]
    {
        let ran = refused(&home, &Settings::default().with("DB_HOST", "localhost").with(name, value));
        names_all(&ran, &[name]);
    }
    let both = Settings::default().with("DB_HOST", "localhost").with("DATABASE_URL", "postgres://a@b/c");
    names_all(&refused(&home, &both), &["DATABASE_URL", "DB_HOST", "both"]);
    let no_secret = Settings::default().with("DB_HOST", "localhost").with("DB_PASSWORD_FILE", "/nowhere");
    names_all(&refused(&home, &no_secret), &["DB_PASSWORD_FILE", "/nowhere"]);
}

/// The commands that use the databases refuse the same.
#[test]
fn bad_settings_are_refused_by_every_command() {
    let home = Home::new();
    let bad = Settings::default().neo4j_at("http://localhost").with("NEO4J_PASSWORD", SECRET);
    let to = home.path("copy");
    for args in
        [&["doctor", "--offline"][..], &["up", "--offline"], &["export", "--to", to.to_str().unwrap()]]
    {
        let mut command = home.memcloud();
        let ran = finish(bad.apply(&mut command).args(args)).failed(2);
        names_all(&ran, &["NEO4J_URI"]);
    }
    assert!(!Path::new(&to).exists());
    let ran = home.run(&["import", "--from", "/nowhere"]).failed(2);
    names_all(&ran, &["/nowhere", "data directory"]);
}
