//! Chooses the model by which messages are compressed, of the folder models.

use std::env;

fn main() {
    let model = env::var("MESSAGES_MODEL").unwrap_or_else(|_| "messages/messages-64k".into());
    println!("cargo:rustc-env=MESSAGES_MODEL={model}");
    println!("cargo:rerun-if-env-changed=MESSAGES_MODEL");
}
