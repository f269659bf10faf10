//! One binary for all integration tests, so that the tensor library is linked once.
#![allow(unreachable_pub, reason = "a binary has no outside")]

/// The command, as its users call it.
mod cli;
/// Files that the fuzzer found.
mod hostile;
/// Networks of other programs.
mod import;
/// What the packages need in their folders, and what all manifests agree on.
mod packages;
/// Who may use whom.
mod rooms;
/// The runtime: its arithmetic, its files, its states.
mod runtime;
/// Test models, the vectors' files, and where the command is run.
mod support;
/// Training: gradients, runs, and what they leave.
mod training;
