//! The network of a model, in the precision that its file has.

#[cfg(feature = "batch")]
mod batch;
#[cfg(feature = "f32")]
mod float;
mod integer;

#[cfg(feature = "batch")]
pub(crate) use batch::{Stream, Streams};

use crate::arch::{self, Operation};
use crate::error::Error;
use crate::format::layout::IntegerSections;
use crate::format::{Cell, Header};
use crate::vocab::Token;
#[cfg(feature = "f32")]
use float::FloatNetwork;
use integer::IntegerNetwork;

/// The weights of a model, borrowed from the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Network<'a> {
    #[cfg(feature = "f32")]
    Float(FloatNetwork<'a>),
    Integer(IntegerNetwork<'a>),
}

/// How far the weights of a network are checked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked {
    /// Parts of which everything is checked.
    parts: usize,
    /// Blocks, or columns, of the next.
    blocks: usize,
}

impl Checked {
    pub(crate) const NOTHING: Self = Self {
        parts: 0,
        blocks: 0,
    };
}

impl<'a> Network<'a> {
    /// Takes the weights' bytes apart; `None` if they don't have the length that the sizes need. Nothing
    /// may be computed before [`check`](Self::check) found no fault.
    pub(crate) const fn new(
        header: &Header<'_>,
        sections: Option<IntegerSections>,
        weights: &'a [u8],
    ) -> Option<Self> {
        let Cell::Lstm = header.cell;
        match sections {
            #[cfg(feature = "f32")]
            None => match FloatNetwork::new(header, weights) {
                Some(network) => Some(Self::Float(network)),
                None => None,
            },
            #[cfg(not(feature = "f32"))]
            None => None,
            Some(sections) => match IntegerNetwork::new(sections, weights) {
                Some(network) => Some(Self::Integer(network)),
                None => None,
            },
        }
    }

    /// Checks about so many bytes of weights, from where `checked` is; whether that were the last.
    pub(crate) const fn check(&self, checked: &mut Checked, bytes: usize) -> Result<bool, Error> {
        match self {
            #[cfg(feature = "f32")]
            Self::Float(network) => network.check(checked, bytes),
            Self::Integer(network) => network.check(checked, bytes),
        }
    }

    /// Feeds one token: changes the state, and leaves the logits at the workspace's end.
    pub(crate) fn step(&self, token: Token, state: &mut [u32], workspace: &mut [u32]) {
        arch::run(Step {
            network: self,
            token,
            state,
            workspace,
        });
    }

    /// h of a unit.
    pub(crate) fn h(&self, state: &[u32], layer: usize, unit: usize) -> f32 {
        match self {
            #[cfg(feature = "f32")]
            Self::Float(network) => network.h(state, layer, unit),
            Self::Integer(network) => network.h(state, layer, unit),
        }
    }

    /// c of a unit.
    pub(crate) fn c(&self, state: &[u32], layer: usize, unit: usize) -> f32 {
        match self {
            #[cfg(feature = "f32")]
            Self::Float(network) => network.c(state, layer, unit),
            Self::Integer(network) => network.c(state, layer, unit),
        }
    }

    /// Replaces h and c of a unit.
    pub(crate) fn set(&self, state: &mut [u32], layer: usize, unit: usize, h: f32, c: f32) {
        match self {
            #[cfg(feature = "f32")]
            Self::Float(network) => network.set(state, layer, unit, h, c),
            Self::Integer(network) => network.set(state, layer, unit, h, c),
        }
    }
}

/// One step of a network.
struct Step<'s> {
    network: &'s Network<'s>,
    token: Token,
    state: &'s mut [u32],
    workspace: &'s mut [u32],
}

impl Operation for Step<'_> {
    #[inline(always)]
    fn compute(self) {
        match self.network {
            #[cfg(feature = "f32")]
            Network::Float(network) => network.step(self.token, self.state, self.workspace),
            Network::Integer(network) => network.step(self.token, self.state, self.workspace),
        }
    }
}
