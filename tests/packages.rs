//! What the published packages need in their folders, and what all manifests agree on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// A package has nothing from outside its folder. What it has a copy of must be the same there.
#[test]
fn copies_in_the_packages_are_those_of_the_repository() {
    for (original, copy) in [
        ("LICENSE-APACHE", "runtime/LICENSE-APACHE"),
        ("LICENSE-APACHE", "trainer/LICENSE-APACHE"),
        ("LICENSE-MIT", "runtime/LICENSE-MIT"),
        ("LICENSE-MIT", "trainer/LICENSE-MIT"),
        (
            "models/names-tiny/names-tiny.charlet",
            "runtime/doc/names-tiny.charlet",
        ),
    ] {
        let read =
            |path| fs::read(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(
            read(original) == read(copy),
            "they differ: cp {original} {copy}"
        );
    }
}

/// The oldest compiler is one number, in every manifest and on the pages of both crates.
#[test]
fn the_oldest_compiler_is_one_number() {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut versions = BTreeMap::new();
    for path in manifests(&repository(".")) {
        let manifest: toml::Table = read(&path).parse().unwrap();
        let package = manifest.get("package");
        let workspace = manifest.get("workspace").and_then(|it| it.get("package"));
        for version in [package, workspace]
            .into_iter()
            .flatten()
            .filter_map(|table| table.get("rust-version")?.as_str())
        {
            versions.insert(path.clone(), version.to_owned());
        }
    }
    let version = versions[&repository("./Cargo.toml")].clone();
    assert!(versions.len() >= 3, "{versions:?}");
    assert!(versions.values().all(|it| *it == version), "{versions:?}");
    for page in ["runtime/README.md", "trainer/README.md"] {
        let text = read(&repository(page));
        assert!(text.contains(&format!("Rust {version}.")), "{page}");
    }
}

/// Every `Cargo.toml` below a folder, but for what is built or hidden.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "Cargo.toml" {
            found.push(path);
        } else if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(manifests(&path));
        }
    }
    found
}
