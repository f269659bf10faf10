//! Trains character-level LSTM models and exports them for the `charlet` runtime.
//!
//! # Rooms
//!
//! A room uses those above it, never one below:
//!
//! ```text
//! util       files that appear whole, a run's folder, random numbers
//! config     every setting and the presets, from TOML and to it
//! data       text or lines -> tokens -> batches
//! model      the network: shape, parameters, fused LSTM, matrix product
//! optim      optimizers, the learning rate's schedule, the weights' average
//! export     trained weights -> .charlet file, and what that needs on a chip
//! inference  the runtime on the desktop: text, scores, novelty
//! import     networks of other programs: PyTorch, Keras, ONNX
//! train      the loop, its checkpoints, and what it tells its observers
//! report     observers: logs, progress bar, TensorBoard, page, dashboard
//! cmd        the command `charlet`, a thin shell around this library
//! ```
//!
//! The exported file is run and scored by the runtime itself ([`inference`]), so that what a run
//! reports is what a chip will do.
//!
//! # Features
//!
//! All but `cuda` are on unless asked otherwise; without any there is a `charlet` that trains, generates,
//! evaluates and exports.
//!
//! | feature | what it brings |
//! | --- | --- |
//! | `html` | a run's page, `report.html`, and its `curves.png`; needs `plot` |
//! | `plot` | the pictures of `charlet compare` and `charlet train --find-lr` |
//! | `tensorboard` | `charlet train --tensorboard` |
//! | `tui` | `charlet train --tui` |
//! | `cuda` | `--device cuda` |

pub mod config;
pub mod data;
pub mod export;
pub mod import;
pub mod inference;
pub mod model;
pub mod optim;
pub mod report;
pub mod train;
pub mod util;
