//! From trained weights to a model file, and what that needs on a chip.

pub mod budget;
pub mod footprint;
pub mod form;
pub mod model_file;
mod quantize;
