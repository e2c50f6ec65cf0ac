//! A Neo4j starts, is broken, and starts again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use memcloud_test_servers::{Neo4j, SharedNeo4j};

/// Whether a server answers the first bytes of Bolt without TLS, with 5.4 at most.
fn answers(port: u16) -> bool {
    let greet = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(&[0x60, 0x60, 0xB0, 0x17, 0, 4, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        let mut version = [0; 4];
        stream.read_exact(&mut version)?;
        Ok(version != [0; 4])
    };
    greet().unwrap_or(false)
}

#[test]
fn fault_neo4j_starts_again_where_it_was() {
    let mut server = Neo4j::start();
    let port = server.port();
    assert!(answers(port));
    server.freeze();
    assert!(!answers(port), "a halted server answers");
    server.thaw();
    assert!(answers(port));
    server.kill();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    server.start_again();
    assert!(answers(port) && server.port() == port);
    server.stop();
    assert!(!server.runs() && server.log().contains("Stopped."));
}

#[test]
fn fault_neo4j_may_want_tls_or_be_old() {
    // It answers over TLS, else it would not count as started.
    let strict = Neo4j::options().tls_required().start();
    assert!(!answers(strict.port()), "a server that requires TLS answers without");
    let old = Neo4j::options().old().start();
    assert!(answers(old.port()));
}

#[test]
fn the_shared_server_answers() {
    assert!(answers(SharedNeo4j::from_environment().port()));
}
