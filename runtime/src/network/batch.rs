//! One step of several streams: what is read of the weights is used for all of them.

use super::Network;
use crate::arch::{self, Operation};
use crate::vocab::Token;

/// Bytes of weights that all streams use before the next are read: half of a small second cache. Less, which
/// would stay in the first, costs more than it saves: a kernel begins anew with each group.
pub(super) const GROUP_BYTES: usize = 256 * 1024;

/// What a step of one stream takes.
pub struct Stream<'s> {
    pub(crate) token: Token,
    pub(crate) state: &'s mut [u32],
    pub(crate) workspace: &'s mut [u32],
}

/// The streams that take a step together.
pub(crate) trait Streams {
    /// How many they are.
    fn count(&self) -> usize;

    /// A stream. Implementations are `#[inline(always)]`, and so are loops that call it: closures can't be
    /// inlined by force, and would not be compiled for the best instructions.
    fn get(&mut self, at: usize) -> Option<Stream<'_>>;
}

impl Network<'_> {
    /// Feeds a token of each stream, as [`step`](Self::step) does of one.
    pub(crate) fn step_together(&self, streams: &mut impl Streams) {
        arch::run(Steps {
            network: self,
            streams,
        });
    }
}

/// A step of each stream.
struct Steps<'s, S> {
    network: &'s Network<'s>,
    streams: &'s mut S,
}

impl<S: Streams> Operation for Steps<'_, S> {
    #[inline(always)]
    fn compute(self) {
        match self.network {
            #[cfg(feature = "f32")]
            Network::Float(network) => network.step_together(self.streams),
            Network::Integer(network) => network.step_together(self.streams),
        }
    }
}
