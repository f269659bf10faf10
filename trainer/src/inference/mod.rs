//! The runtime on the desktop: text from a model, how well a model predicts, and how new its text is.

pub mod novelty;
pub mod random_prompt;
pub mod sample;
pub mod saved_state;
pub mod stop;
pub mod surprisal;
pub mod text_model;
