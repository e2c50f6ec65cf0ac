use std::path::PathBuf;

use crate::home::Home;

/// The pages of the reference are what the program itself prints. `UPDATE_DOCS=1` writes them.
#[test]
fn the_reference_is_up_to_date() {
    let home = Home::new();
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for page in ["cli", "settings"] {
        let printed = home.run(&["reference", page]).ok().stdout;
        let path = docs.join(format!("{page}.md"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == printed,
            "docs/reference/{page}.md is old: run UPDATE_DOCS=1 cargo test -p memcloud reference"
        );
    }
}
