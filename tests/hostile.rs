//! What the fuzzer begins with, and what it has found: each file is handled without a panic.

/// What is done with a file: the fuzzer's own code.
#[path = "fuzz/src/lib.rs"]
#[allow(dead_code, reason = "some of it is for the fuzzer alone")]
pub mod fuzz;

use std::path::PathBuf;

use crate::support::repository;
use fuzz::{checkpoint, import, logs, message, model, settings, state, text};

/// The target of a format: its name, what is done with a file, and what it begins with.
type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

const TARGETS: [Target; 8] = [
    ("checkpoint", checkpoint::check, checkpoint::seeds),
    ("import", import::check, import::seeds),
    ("logs", logs::check, logs::seeds),
    ("message", message::check, message::seeds),
    ("model", model::check, model::seeds),
    ("settings", settings::check, settings::seeds),
    ("state", state::check, state::seeds),
    ("text", text::check, text::seeds),
];

/// The folder with a target's files of a kind: `seeds`, or `found`.
fn folder(kind: &str, target: &str) -> PathBuf {
    repository(&format!("tests/fuzz/{kind}/{target}"))
}

#[test]
fn what_was_found_once_is_handled() {
    for (target, check, _) in TARGETS {
        for kind in ["seeds", "found"] {
            let Ok(files) = std::fs::read_dir(folder(kind, target)) else {
                continue;
            };
            for file in files {
                let file = file.unwrap().path();
                println!("{}", file.display());
                check(&std::fs::read(file).unwrap());
            }
        }
    }
}

#[test]
fn what_the_fuzzer_begins_with_is_valid() {
    for file in model::seeds() {
        charlet::Model::from_bytes(&file).unwrap();
    }
    for (_, check, seeds) in TARGETS {
        seeds().iter().for_each(|file| check(file));
    }
}

/// `cargo test --test integration -- --ignored seeds_are_written` after a format has changed.
#[test]
#[ignore = "it changes the repository"]
fn seeds_are_written() {
    for (target, _, seeds) in TARGETS {
        let folder = folder("seeds", target);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (1..).zip(seeds()) {
            std::fs::write(folder.join(number.to_string()), seed).unwrap();
        }
    }
}
