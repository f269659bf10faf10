//! A table of the layers and their parameters.

use super::shape::Shape;

/// A row of the table.
pub(crate) struct LayerSummary {
    pub(crate) name: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) parameters: usize,
}

/// A row per layer, and the sum.
pub(crate) fn layers(shape: Shape) -> Vec<LayerSummary> {
    let all = shape.parameters();
    let layer = |name: String, inputs: usize, outputs: usize, prefix: &str| {
        let part = all.iter().filter(|part| part.name.starts_with(prefix));
        LayerSummary {
            name,
            inputs,
            outputs,
            parameters: part.map(|part| part.dims.iter().product::<usize>()).sum(),
        }
    };
    let (vocab, hidden) = (shape.vocab_size, shape.hidden_size);
    let embedding = shape.embedding_size;
    let mut layers = vec![layer("embedding".into(), vocab, embedding, "embedding.")];
    layers.extend((0..shape.num_layers).map(|at| {
        let (name, prefix) = (format!("lstm {at}"), format!("lstm.{at}."));
        layer(name, shape.input_size(at), hidden, &prefix)
    }));
    layers.push(layer("head".into(), hidden, vocab, "head."));
    layers.push(layer("in all".into(), vocab, vocab, ""));
    layers
}
