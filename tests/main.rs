//! One binary for all integration tests, so that the tensor library is linked once.
#![allow(unreachable_pub, reason = "a binary has no outside")]

/// exp, sigmoid and tanh against double precision.
mod activation;
/// Backends that give the same bits, and the command that measures them.
mod bench;
/// A browser without a window.
mod browser;
/// Networks as large as a budget allows.
mod budget;
/// Where text starts and ends, and what may come next.
mod cli_generate;
/// Commands that use models.
mod cli_models;
/// Surprise per line.
mod cli_score;
/// Completions and manual pages.
mod cli_shell;
/// What goes wrong in a training, and what the command says then.
mod cli_train;
/// Runs side by side.
mod compare;
/// What a GPU runs, on the processor where there is none.
mod cuda;
/// The dashboard in a pseudo-terminal.
#[cfg(unix)]
mod dashboard;
/// A learning rate that is looked for.
mod find_lr;
/// The trainer's gradients against PyTorch, finite differences and each other.
mod gradients;
/// Headers: the runtime reads without postcard what postcard writes.
mod header;
/// Integer models against the reference, exactly.
mod integer;
/// Beginnings that are continued in a terminal and in a pipe.
mod interactive;
/// Two processes and one folder.
mod lock;
/// Model files that are damaged, cut or made up.
mod model_file;
/// The page of a run and its curves.
mod page;
/// A folder for a test, and the command run in it.
mod place;
/// Integer models in a plain reference.
mod reference;
/// Runs that are stopped or killed, and go on.
mod resume;
/// Random choices against their definition.
mod sampling;
/// The models and data that are shipped.
mod shipped;
/// States: forked, saved, restored, shared.
mod state;
/// Test models and the vectors' files.
mod support;
/// Event files for TensorBoard, by the format's definition.
mod tensorboard;
/// The command in a pseudo-terminal.
#[cfg(unix)]
mod terminal;
/// A model of running text that is trained for the tests.
mod text_model;
/// Every bound, with its reason.
mod tolerance;
/// Whole runs: the same seed gives the same model.
mod training;
/// Networks that start from the weights of another.
mod transfer;
/// h, c and logits of trainer and runtime against PyTorch.
mod vectors;
