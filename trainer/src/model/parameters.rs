//! The parameters as slices of one flat vector.

use super::shape::Shape;

/// The parameters of a layer, their rows in the order of the gates i, f, g, o.
pub(crate) struct LayerWeights<T> {
    /// `[4 hidden_size, input_size]`
    pub(crate) weight_ih: T,
    /// `[4 hidden_size, hidden_size]`
    pub(crate) weight_hh: T,
    /// `[4 hidden_size]`
    pub(crate) bias: T,
}

/// All parameters of a network, or their gradients, in the order of [`Shape::parameters`].
pub(crate) struct Weights<T> {
    /// `[vocab_size, embedding_size]`
    pub(crate) embedding: T,
    pub(crate) layers: Vec<LayerWeights<T>>,
    /// `[vocab_size, hidden_size]`
    pub(crate) head_weight: T,
    /// `[vocab_size]`
    pub(crate) head_bias: T,
}

impl<T> Weights<T> {
    /// Puts slices together that come in the order of the parameters.
    fn collect(num_layers: usize, mut next: impl FnMut() -> T) -> Self {
        let embedding = next();
        let layers = (0..num_layers)
            .map(|_| LayerWeights {
                weight_ih: next(),
                weight_hh: next(),
                bias: next(),
            })
            .collect();
        Self {
            embedding,
            layers,
            head_weight: next(),
            head_bias: next(),
        }
    }
}

impl<'a> Weights<&'a [f32]> {
    pub(crate) fn split(shape: Shape, mut flat: &'a [f32]) -> Self {
        let mut lengths = lengths(shape);
        Self::collect(shape.num_layers, || {
            let (slice, rest) = flat.split_at(lengths.next().unwrap_or(0));
            flat = rest;
            slice
        })
    }
}

impl<'a> Weights<&'a mut [f32]> {
    pub(crate) fn split_mut(shape: Shape, mut flat: &'a mut [f32]) -> Self {
        let mut lengths = lengths(shape);
        Self::collect(shape.num_layers, || {
            let (slice, rest) = std::mem::take(&mut flat).split_at_mut(lengths.next().unwrap_or(0));
            flat = rest;
            slice
        })
    }
}

fn lengths(shape: Shape) -> impl Iterator<Item = usize> {
    shape
        .parameters()
        .into_iter()
        .map(|parameter| parameter.dims.iter().product())
}
