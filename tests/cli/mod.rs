//! The command, as its users call it.

/// Backends that give the same bits, and the command that measures them.
mod bench;
/// Runs side by side.
mod compare;
/// Text that becomes short, and comes back.
mod compress;
/// Data as people have them.
mod data;
/// Networks for ONNX, PyTorch and C.
mod export;
/// Where text starts and ends, and what may come next.
mod generate;
/// What a terminal would obey is shown there, and is what it is in a pipe.
#[cfg(unix)]
mod hidden;
/// The page of a run and its curves.
#[cfg(feature = "html")]
mod html;
/// Beginnings that are continued in a terminal and in a pipe.
mod interactive;
/// What doesn't fit into memory, never ends, or is interrupted.
mod limits;
/// Models with a mark for characters that they don't know.
mod mark;
/// Commands that use models.
mod models;
/// What holds for the options of all commands.
mod options;
/// What is never overwritten.
mod outputs;
/// Printed commands are pasted and work; a wrong kind of file is told with the right command.
#[cfg(unix)]
mod pasted;
/// Surprisal per line.
mod score;
/// Completions and manual pages.
mod shell;
/// Files from a pipe.
mod standard_input;
/// Event files for TensorBoard, by the format's definition.
#[cfg(feature = "tensorboard")]
mod tensorboard;
/// What goes wrong in a training, and what the command says then.
mod train;
/// The dashboard in a pseudo-terminal.
#[cfg(all(unix, feature = "tui"))]
mod tui;
