//! The model against vectors made with sentence-transformers.

#![expect(clippy::expect_used, reason = "in a test, that is the message")]

mod reference;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_embed::weights::ModelFiles;
use memcloud_embed::{Isa, LocalEmbedder, Model, Options};
use memcloud_ports::Embedder;
use reference::{fixture, json, model_dir};

const DIMENSIONS: usize = 384;

fn load(isa: Option<Isa>, threads: usize) -> Model {
    let files = ModelFiles::in_dir(&model_dir()).expect("the default model");
    Model::load(&files, Options { isa, threads: NonZeroUsize::new(threads) }).expect("loads")
}

fn reference() -> (Vec<String>, Vec<Vec<f32>>) {
    let bytes = std::fs::read(fixture("reference_vectors.f32")).expect("fixture");
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (json("reference_texts.json"), values.chunks(DIMENSIONS).map(<[f32]>::to_vec).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn every_instruction_set_gives_the_reference_vectors() {
    let (texts, wanted) = reference();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!((texts.len(), wanted.len()), (200, 200));
    for isa in Isa::available() {
        // One and two threads take different ways through a layer; to see that on one of them is enough.
        let threads: &[usize] = if isa == Isa::detect() { &[1, 2] } else { &[2] };
        for &threads in threads {
            let vectors = load(Some(isa), threads).embed(&texts);
            let cosines: Vec<f64> = vectors.iter().zip(&wanted).map(|(a, b)| cosine(a, b)).collect();
            let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
            let (worst, text) =
                cosines.iter().zip(&texts).min_by(|a, b| a.0.total_cmp(b.0)).expect("200 of them");
            println!("{isa}, {threads} threads: mean cosine {mean:.7}, lowest {worst:.7}");
            assert!(mean >= 0.9999, "{isa}: mean cosine {mean}");
            assert!(*worst >= 0.9995, "{isa}: cosine {worst} for {text:?}");
        }
    }
}

#[test]
fn one_text_has_the_same_vector_alone_and_in_a_batch() {
    let (texts, _) = reference();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for isa in Isa::available() {
        let model = load(Some(isa), 2);
        let together = model.embed(&texts);
        // The two add up in different orders. In eight bits of mantissa, what was nearly between two numbers may then fall to
        // the other one.
        let eight_bits = matches!(isa, Isa::Avx512Bf16 | Isa::PortableBf16);
        let least = if eight_bits { 0.999_99 } else { 0.999_999 };
        for i in [0, 17, 60, 120, 150, 199] {
            let cosine = cosine(&model.embed_one(texts[i]), &together[i]);
            println!("{isa}: {cosine:.8}");
            assert!(cosine > least, "{isa}: {cosine} for {:?}", texts[i]);
        }
    }
}

#[test]
fn empty_and_huge_inputs_work() {
    let model = load(None, 2);
    assert!(model.embed(&[]).is_empty());
    let huge = "a long story ".repeat(100_000);
    let vectors = model.embed(&["", " \n\t ", &huge]);
    for vector in &vectors {
        assert_eq!(vector.len(), DIMENSIONS);
        let length: f32 = vector.iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
    assert_eq!(vectors[0], vectors[1]);
    assert_eq!(model.count_tokens(""), 2);
    assert_eq!(model.count_tokens(&huge), model.max_tokens());
}

#[test]
fn concurrent_callers_get_their_own_vectors() {
    let (texts, wanted) = reference();
    let model = load(None, 2);
    std::thread::scope(|scope| {
        for start in 0..6 {
            let (model, texts, wanted) = (&model, &texts, &wanted);
            scope.spawn(move || {
                for i in (start..60).step_by(6) {
                    assert!(cosine(&model.embed_one(&texts[i]), &wanted[i]) > 0.9995);
                }
            });
        }
    });
}

#[test]
fn the_model_describes_itself() {
    let model = load(None, 1);
    assert_eq!(model.space(), "local/all-MiniLM-L6-v2/384");
    assert_eq!(model.dimensions(), DIMENSIONS);
    assert_eq!(model.max_tokens(), 256);
    assert_eq!(model.isa(), Isa::detect());
    assert_eq!(model.threads(), 1);
    let per_token = 2.0 * 12.0 * 384.0 * 384.0 * 6.0;
    assert!((model.flops([1]) - per_token - 9216.0).abs() < 1.0);
    assert!((model.flops([20, 20]) - 40.0 * (per_token + 9216.0 * 20.0)).abs() < 1.0);
}

/// A copy of the model's folder, of which files can be changed. Files are linked, not copied.
fn linked_copy(target: &tempfile::TempDir, name: &str) -> PathBuf {
    let dir = target.path().join(name);
    std::fs::create_dir_all(&dir).expect("directory");
    for file in ["config.json", "vocab.txt", "tokenizer.json", "model.safetensors"] {
        let from = model_dir().join(file).canonicalize().expect("file");
        std::fs::copy(from, dir.join(file)).expect("copied");
    }
    dir
}

/// Changes one bit, so that the weights are not those of the default model.
fn with_other_weights(dir: &std::path::Path) {
    let path = dir.join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("weights");
    bytes[50_000_000] ^= 1;
    std::fs::write(&path, bytes).expect("written");
}

fn load_error(dir: &std::path::Path, pinned: bool) -> String {
    let files = ModelFiles { pinned, ..ModelFiles::in_dir(dir).expect("files") };
    Model::load(&files, Options::default()).map(drop).expect_err("must not load").to_string()
}

#[test]
fn damaged_weights_are_named_with_what_is_wrong() {
    let target = tempfile::tempdir().expect("directory");
    let dir = linked_copy(&target, "model");
    let path = dir.join("model.safetensors");
    let bytes = std::fs::read(&path).expect("weights");

    // Truncated: the size shows it, pinned or not.
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let error = load_error(&dir, true);
    assert!(
        error.contains("model.safetensors is damaged: it should have 90868376 bytes and has 45434188"),
        "{error}"
    );
    let error = load_error(&dir, false);
    assert!(error.contains("its header promises 90868376 bytes, it has 45434188"), "{error}");

    // One bit: only the hash shows it.
    let mut flipped = bytes.clone();
    flipped[50_000_000] ^= 1;
    std::fs::write(&path, &flipped).expect("written");
    let files = ModelFiles::in_dir(&dir).expect("files");
    assert!(files.pinned, "next to the default model's configuration, and of its length");
    let error = load_error(&dir, true);
    assert!(error.contains("its SHA-256 should be 53aa5117"), "{error}");
    let files = ModelFiles { pinned: false, ..files };
    let model = Model::load(&files, Options::default()).expect("other folders may hold any weights");
    assert!(model.space().starts_with("local/MiniLM-L6-H384-uncased-"), "{}", model.space());

    // Not safetensors at all.
    for content in [&b""[..], b"short", b"<!DOCTYPE html><html>not found</html>", &[0xff; 4096], &[0; 4096]] {
        std::fs::write(&path, content).expect("written");
        let error = load_error(&dir, false);
        assert!(error.contains("model.safetensors"), "{error}");
    }
}

#[test]
fn whatever_changes_the_vectors_of_another_model_changes_its_space() {
    let target = tempfile::tempdir().expect("directory");
    let dir = linked_copy(&target, "other");
    with_other_weights(&dir);
    let space = || {
        let files = ModelFiles { pinned: false, ..ModelFiles::in_dir(&dir).expect("files") };
        Model::load(&files, Options::default()).expect("loads").space().to_owned()
    };
    let replace = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(dir.join(file)).expect("file");
        std::fs::write(dir.join(file), text.replacen(from, to, 1)).expect("written");
    };
    let mut spaces = vec![space()];
    assert_eq!(space(), spaces[0], "the same files");
    replace("config.json", "\"num_hidden_layers\": 6", "\"num_hidden_layers\": 5");
    spaces.push(space());
    std::fs::remove_file(dir.join("tokenizer.json")).expect("removed");
    replace("vocab.txt", "\nhouse\n", "\nhouze\n");
    spaces.push(space());
    std::fs::write(dir.join("sentence_bert_config.json"), r#"{"max_seq_length": 16}"#).expect("written");
    spaces.push(space());
    spaces.sort();
    spaces.dedup();
    assert_eq!(spaces.len(), 4, "{spaces:?}");
}

#[test]
fn models_of_another_kind_are_refused() {
    let target = tempfile::tempdir().expect("directory");
    let dir = linked_copy(&target, "other");
    with_other_weights(&dir);
    let path = dir.join("config.json");
    let config = std::fs::read_to_string(&path).expect("config");
    for (from, to, wanted) in [
        ("\"bert\"", "\"roberta\"", "model_type"),
        ("\"gelu\"", "\"relu\"", "hidden_act"),
        ("\"hidden_size\": 384", "\"hidden_size\": 388", "hidden_size is 388, not a multiple of 16"),
        (
            "\"hidden_size\": 384",
            "\"hidden_size\": 768",
            "has shape [30522, 384]; config.json makes it [30522, 768]",
        ),
        ("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7", "no tensor encoder.layer.6."),
        ("\"num_attention_heads\": 12", "\"num_attention_heads\": 7", "cannot be shared among 7 heads"),
        ("30522", "30000", "vocab_size is 30000"),
        ("{", "", "config.json"),
    ] {
        std::fs::write(&path, config.replacen(from, to, 1)).expect("written");
        let error = load_error(&dir, false);
        assert!(error.contains(wanted), "{from} -> {to}: {error}");
    }
}

/// The median time to embed a message.
async fn message(embedder: &LocalEmbedder) -> Duration {
    let mut times = Vec::new();
    for n in 0..9 {
        let began = Instant::now();
        embedder.embed_documents(vec![format!("The cat sat on mat number {n}.")]).await.expect("embeds");
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_waits_for_no_import_and_imports_end() {
    let files = ModelFiles::in_dir(&model_dir()).expect("the default model");
    let model = Model::load(&files, Options::default()).expect("loads");
    let embedder = Arc::new(LocalEmbedder::start(model).expect("starts"));
    // As many as are computed at once.
    let texts = |chunks: usize| vec!["and so on ".repeat(25); 32 * chunks];
    let began = Instant::now();
    for _ in 0..3 {
        embedder.embed_documents(texts(1)).await.expect("embeds");
    }
    let at_once = began.elapsed() / 3;
    let mut imports = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (embedder, texts) = (Arc::clone(&embedder), texts(4));
        imports.spawn(async move { embedder.embed_documents(texts).await.expect("embeds").len() });
    }
    let during = message(&embedder).await;
    println!("{during:?} during three imports, which compute texts for {at_once:?} at once");
    assert!(imports.try_join_next().is_none(), "they go on meanwhile");
    assert!(during < at_once / 2, "{during:?} during imports, which compute texts for {at_once:?} at once");
    assert_eq!(imports.join_all().await, [128; 3]);
}
