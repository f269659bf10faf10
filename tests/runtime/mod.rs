//! The runtime: its arithmetic, its files, its states.

/// exp, sigmoid and tanh against double precision.
mod activation;
/// Texts at random through every model, and hostile messages.
mod any_text;
/// Sessions that take their steps together.
mod batch;
/// One model, one file.
mod canonical;
/// Compressed text.
mod coder;
/// Headers: the runtime reads without postcard what postcard writes.
mod header;
/// Models that are part of the program.
mod include;
/// Integer models against the reference, exactly.
mod integer;
/// A mark for characters that a model doesn't know.
mod mark;
/// Model files that are damaged, cut or made up.
mod model_file;
/// h, c and logits of trainer and runtime against PyTorch.
mod pytorch;
/// Integer models in a plain reference.
mod reference;
/// Random choices against their definition.
mod sampling;
/// States: forked, saved, restored, shared.
mod state;
