//! Utilities: files and folders, memory, random numbers, requests to stop, bytes as text, what terminals and
//! shells take.

pub mod atomic_file;
pub mod distinct;
pub mod file_kind;
pub mod in_order;
pub mod lock;
pub mod memory;
pub mod onnx;
pub mod replace;
pub mod replaced;
pub mod rng;
pub mod run_dir;
pub mod shell;
pub mod shown;
pub mod stop;
pub mod style;
pub mod text_form;
