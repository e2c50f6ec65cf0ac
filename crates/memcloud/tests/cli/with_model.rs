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

#[test]
fn a_default_model_with_a_changed_file_is_refused_by_serve_and_doctor() {
    let home = Home::new();
    let dir = home.path("changed");
    std::fs::create_dir(&dir).unwrap();
    let restore = |file: &str| std::fs::copy(model_dir().join(file), dir.join(file)).unwrap();
    for file in ["config.json", "vocab.txt", "tokenizer.json", "model.safetensors"] {
        restore(file);
    }
    for (file, from, to) in [
        ("config.json", "\"num_hidden_layers\": 6", "\"num_hidden_layers\": 5"),
        ("config.json", "\"num_attention_heads\": 12", "\"num_attention_heads\": 6"),
        ("config.json", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 1e-02"),
        ("vocab.txt", "\nhouse\n", "\nhouze\n"),
        ("tokenizer.json", "\"lowercase\":true", "\"lowercase\":false"),
    ] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{file} has {from}");
        std::fs::write(dir.join(file), changed).unwrap();
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["doctor"]] {
            let refused = home.run(&[command, &["--offline", "--model-dir", dir.to_str().unwrap()]].concat());
            let said = format!("{}{}", refused.stdout, refused.stderr);
            assert!(refused.code != 0, "{refused:?}");
            assert!(said.contains(&format!("{file} is damaged")), "{from} -> {to}, {command:?}: {said}");
        }
        restore(file);
    }
}
