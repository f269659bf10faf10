//! From trained weights to a model file, and what that needs on a chip; and to what other frameworks take.

pub mod budget;
pub mod c_array;
pub mod exported;
pub mod footprint;
pub mod form;
pub mod model_file;
pub mod onnx;
pub mod pytorch;
mod quantize;
mod unpack;
