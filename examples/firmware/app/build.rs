//! Chooses the model that a firmware has, of the folder models.

use std::env;

fn main() {
    let model = env::var("NAMES_MODEL").unwrap_or_else(|_| "names/names-i8".into());
    println!("cargo:rustc-env=NAMES_MODEL={model}");
    println!("cargo:rerun-if-env-changed=NAMES_MODEL");
}
