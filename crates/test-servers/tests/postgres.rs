//! A PostgreSQL starts, is broken, and starts again.

#![expect(clippy::disallowed_methods, reason = "tests read their own environment and hold their own tasks")]

use memcloud_test_servers::{Postgres, SharedPostgres};

const POINT: &str =
    "CREATE EXTENSION vector; CREATE TABLE t (v vector(2)); INSERT INTO t VALUES ('[1,2]'), ('[3,4]')";

#[test]
fn fault_postgres_keeps_what_it_has_committed() {
    let mut server = Postgres::start();
    let database = server.create_database();
    server.execute(&database, POINT);
    server.kill();
    assert!(server.try_execute(&database, "SELECT 1").is_err());
    server.start_again();
    assert_eq!(server.execute(&database, "SELECT v, v <-> '[1,2]' < 1 FROM t"), "[1,2]|t\n[3,4]|f");
    server.stop();
    assert!(!server.runs());
    server.start_again();
    assert_eq!(server.execute(&database, "SELECT count(*) FROM t"), "2");
}

#[test]
fn fault_cloud_sql_listens_on_its_socket_only() {
    let server = Postgres::options().cloud_sql().max_connections(7).setting("work_mem = '3MB'").start();
    let socket = server.socket_dir().join(".s.PGSQL.5432");
    assert!(socket.exists() && socket.as_os_str().len() <= 107, "{}", socket.display());
    let shown = "SELECT current_setting('listen_addresses'), current_setting('max_connections'), current_setting('work_mem')";
    assert_eq!(server.execute("postgres", shown), "|7|3MB");
}

#[test]
fn fault_other_installations_start() {
    let old = Postgres::options().old().start();
    assert!(old.execute("postgres", "SHOW server_version").starts_with("16."));
    assert_eq!(old.execute("postgres", AVAILABLE), "0.6.2");
    let plain = Postgres::options().plain().start();
    assert_eq!(plain.execute("postgres", AVAILABLE), "");
}

const AVAILABLE: &str = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'";

#[test]
fn fault_a_folder_that_others_cannot_enter_is_no_hindrance() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let locked = tempfile::tempdir().unwrap();
    let install = std::env::var(memcloud_test_servers::POSTGRES_DIR).expect("run 'cargo xtask test'");
    symlink(&install, locked.path().join("install")).unwrap();
    std::fs::set_permissions(locked.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let server = Postgres::options().install(locked.path().join("install")).start();
    assert_eq!(server.execute("postgres", AVAILABLE), "0.8.5");
}

#[tokio::test]
async fn a_shared_database_is_dropped_with_its_handle() {
    let server = SharedPostgres::from_environment();
    let (one, two) = (server.create_database(), server.create_database());
    assert_eq!(one.execute("SELECT current_database()"), one.name());
    let name = one.name().to_owned();
    drop(one);
    let left = format!("SELECT datname FROM pg_database WHERE datname IN ('{name}', '{}')", two.name());
    assert_eq!(two.execute(&left), two.name());
}
