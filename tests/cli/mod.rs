//! The command, as its users call it.

/// Backends that give the same bits, and the command that measures them.
mod bench;
/// Runs side by side.
mod compare;
/// Where text starts and ends, and what may come next.
mod generate;
/// The page of a run and its curves.
#[cfg(feature = "html")]
mod html;
/// Beginnings that are continued in a terminal and in a pipe.
mod interactive;
/// What doesn't fit into memory, never ends, or is interrupted.
mod limits;
/// Commands that use models.
mod models;
/// Surprisal per line.
mod score;
/// Completions and manual pages.
mod shell;
/// Event files for TensorBoard, by the format's definition.
#[cfg(feature = "tensorboard")]
mod tensorboard;
/// What goes wrong in a training, and what the command says then.
mod train;
/// The dashboard in a pseudo-terminal.
#[cfg(all(unix, feature = "tui"))]
mod tui;
