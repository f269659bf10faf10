//! Chooses the model of the folder models/names that a firmware has.

use std::env;

fn main() {
    let model = env::var("NAMES_MODEL").unwrap_or_else(|_| "names-i8".into());
    println!("cargo:rustc-env=NAMES_MODEL={model}");
    println!("cargo:rerun-if-env-changed=NAMES_MODEL");
}
