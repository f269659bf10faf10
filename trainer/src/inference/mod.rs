//! Inference on the desktop, by the runtime itself: text, loss, surprisal, novelty.

pub mod compression;
pub mod evaluation;
pub mod novelty;
pub mod random_prompt;
pub mod reader;
pub mod sample;
pub mod saved_state;
pub mod stop;
pub mod surprisal;
pub mod text_model;
pub mod token_table;
pub mod unknown;
