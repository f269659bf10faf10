//! Weights packed for the products of all steps of a batch.

use rayon::prelude::*;

use crate::model::gemm::{Operand, Panels};
use crate::model::lstm::profile::Direction;
use crate::model::parameters::Weights;
use crate::model::shape::Shape;

/// The weights of all products.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) forward: OneWay,
    pub(super) backward: OneWay,
}

/// The weights of all products of one pass, forward or backward.
#[derive(Debug, Default)]
pub(super) struct OneWay {
    pub(super) layers: Vec<PackedLayer>,
    pub(super) head: Panels,
}

/// The weights of a layer.
#[derive(Debug, Default)]
pub(super) struct PackedLayer {
    /// Of layers above the first, whose input is looked up.
    pub(super) input: Panels,
    pub(super) recurrent: Panels,
}

impl OneWay {
    /// Packs the weights, into the memory of those before.
    pub(super) fn pack(&mut self, shape: Shape, weights: &Weights<&[f32]>, direction: Direction) {
        let size = shape.hidden_size;
        self.layers
            .resize_with(shape.num_layers, PackedLayer::default);
        let mut jobs = vec![(&mut self.head, weights.head_weight)];
        for (index, (packed, layer)) in self.layers.iter_mut().zip(&weights.layers).enumerate() {
            jobs.push((&mut packed.recurrent, layer.weight_hh));
            if index > 0 {
                jobs.push((&mut packed.input, layer.weight_ih));
            }
        }
        jobs.into_par_iter().for_each(|(panels, matrix)| {
            let outputs = matrix.len() / size;
            match direction {
                Direction::Forward => panels.pack(Operand::Transposed(matrix), size, outputs),
                Direction::Backward => panels.pack(Operand::Plain(matrix), outputs, size),
            }
        });
    }
}
