//! From a file to batches: text or lines, the alphabet, what is held out, and how it is cut.

pub mod alphabet;
pub mod batch;
pub mod corpus;
pub mod source;
