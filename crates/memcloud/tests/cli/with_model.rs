use std::path::PathBuf;

use crate::home::{Home, Server};

/// The embedding model that tests use.
pub(crate) fn model_dir() -> PathBuf {
    let dir = std::env::var_os("MEMCLOUD_TEST_MODEL_DIR")
        .expect("this test needs the embedding model: run 'cargo xtask test', or set MEMCLOUD_TEST_MODEL_DIR to its folder");
    dir.into()
}

pub(crate) fn serve(home: &Home) -> Server {
    let mut command = home.memcloud();
    command.args(["serve", "--offline", "--listen", "127.0.0.1:0", "--model-dir"]).arg(model_dir());
    Server::start(&mut command)
}

#[test]
fn finds_by_meaning() {
    let home = Home::new();
    let server = serve(&home);
    for text in ["I adopted a puppy", "The train was late again", "We painted the kitchen"] {
        home.run(&["add", text, "--user", "ann", "--url", &server.url]).ok();
    }
    let found =
        home.run(&["search", "Which pets live in the house?", "--json", "--url", &server.url]).ok().json();
    assert_eq!(found[0]["content"], "I adopted a puppy", "{found}");
    let report =
        home.run(&["doctor", "--model-dir", model_dir().to_str().unwrap(), "--url", &server.url]).ok();
    assert!(report.stdout.contains("ok     model"), "{report:?}");
}

#[test]
fn messages_stored_without_a_model_are_embedded_later() {
    let home = Home::new();
    let mut without = home.serve();
    home.run(&["add", "I adopted a puppy", "--url", &without.url]).ok();
    home.run(&["add", "The train was late again", "--url", &without.url]).ok();
    without.signal("TERM");
    without.ended();
    let mut with = serve(&home);
    with.log_line("embedded all messages");
    let found =
        home.run(&["search", "Which pets live in the house?", "--json", "--url", &with.url]).ok().json();
    assert_eq!(found[0]["content"], "I adopted a puppy", "{found}");
}

#[test]
fn a_kernel_can_be_chosen_and_an_unknown_one_is_refused() {
    let home = Home::new();
    let report = |kernel: &str| {
        let mut command = home.memcloud();
        command.args(["doctor", "--model-dir"]).arg(model_dir()).env("MEMCLOUD_KERNEL", kernel);
        crate::home::finish(&mut command)
    };
    assert!(report("portable").stdout.contains("portable"));
    let wrong = report("abacus");
    assert!(wrong.failed(2).stderr.contains("MEMCLOUD_KERNEL is 'abacus'"));
}
