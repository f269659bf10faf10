//! The network of a model, in the precision that its file has.

#[cfg(feature = "f32")]
use crate::float::FloatNetwork;
use crate::format::{Cell, Header, Precision};
use crate::integer::IntegerNetwork;
use crate::{Error, Token, kernel};

/// The weights of a model, borrowed from the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Network<'a> {
    #[cfg(feature = "f32")]
    Float(FloatNetwork<'a>),
    Integer(IntegerNetwork<'a>),
}

impl<'a> Network<'a> {
    /// Takes the weights' bytes apart and checks them.
    pub(crate) fn new(header: &Header<'_>, weights: &'a [u8]) -> Result<Self, Error> {
        match (header.cell, header.precision) {
            #[cfg(feature = "f32")]
            (Cell::Lstm, Precision::F32) => FloatNetwork::new(header, weights).map(Self::Float),
            (Cell::Lstm, Precision::I8 | Precision::I4) => {
                IntegerNetwork::new(header, weights).map(Self::Integer)
            }
            #[cfg(not(feature = "f32"))]
            (Cell::Lstm, Precision::F32) => Err(Error::Precision),
        }
    }

    /// Feeds one token: changes the state, and leaves the logits at the workspace's end.
    pub(crate) fn step(&self, token: Token, state: &mut [u32], workspace: &mut [u32]) {
        kernel::step(self, token, state, workspace);
    }

    /// The same, compiled for the instructions that the caller was compiled for.
    #[inline(always)]
    pub(crate) fn step_inline(&self, token: Token, state: &mut [u32], workspace: &mut [u32]) {
        match self {
            #[cfg(feature = "f32")]
            Self::Float(network) => network.step(token, state, workspace),
            Self::Integer(network) => network.step(token, state, workspace),
        }
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
