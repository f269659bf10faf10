//! What the published packages need in their folders, and what all manifests agree on.

use std::fs;

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

/// The oldest compiler is one number, wherever it is named. (A board may need a newer one, for a crate
/// of its chip.)
#[test]
fn the_oldest_compiler_is_one_number() {
    let read = |path| fs::read_to_string(repository(path)).unwrap();
    let oldest = |path, table: &[&str]| {
        let manifest: toml::Table = read(path).parse().unwrap();
        let mut value = &toml::Value::Table(manifest);
        for key in table {
            value = &value[*key];
        }
        value["rust-version"].as_str().unwrap().to_owned()
    };
    let version = oldest("Cargo.toml", &["workspace", "package"]);
    let firmware = oldest("examples/firmware/Cargo.toml", &["workspace", "package"]);
    assert_eq!(firmware, version);
    assert_eq!(oldest("examples/web/Cargo.toml", &["package"]), version);
    for page in ["runtime/README.md", "trainer/README.md"] {
        assert!(read(page).contains(&format!("Rust {version}.")), "{page}");
    }
}
