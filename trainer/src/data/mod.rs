//! From a file to batches: source, alphabet, held-out split, batches.

pub mod alphabet;
pub mod batch;
pub mod corpus;
mod encoding;
pub mod lines;
pub mod mark;
mod need;
pub mod source;
