//! The training loop, its checkpoints, and the [`Observer`](observer::Observer) trait.

mod check;
pub mod checkpoint;
pub mod control;
pub(crate) mod divergence;
mod epoch;
pub mod finalize;
pub mod init_from;
mod learn;
pub mod lr_finder;
pub mod metrics;
pub mod need;
pub mod newest;
pub mod observer;
pub mod progress;
mod saving;
mod session;
pub mod step;
pub mod summary;
pub mod training_loop;
