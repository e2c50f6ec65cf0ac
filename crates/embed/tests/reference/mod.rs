//! Where the tests find the model.

use std::path::PathBuf;

/// The folder with the default model. Its absence is a failure, so that nothing is skipped unseen.
#[expect(clippy::disallowed_methods, reason = "the environment names the model")]
pub(crate) fn model_dir() -> PathBuf {
    let dir = std::env::var_os("MEMCLOUD_TEST_MODEL_DIR").expect(
        "MEMCLOUD_TEST_MODEL_DIR is not set: run `cargo xtask test`, which fetches the model and sets it",
    );
    let dir = PathBuf::from(dir);
    assert!(dir.join("model.safetensors").is_file(), "no model.safetensors in {}", dir.display());
    dir
}

/// The path of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect()
}

/// A fixture in JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(fixture(name)).expect("fixture");
    serde_json::from_str(&text).expect("fixture in JSON")
}
