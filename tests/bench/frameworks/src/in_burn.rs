use anyhow::{Context, Result};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{Batch, EMBEDDING, LEARNING_RATE, Shape, Step, WEIGHT_DECAY};

#[derive(Module, Debug)]
struct Network {
    embedding: Embedding,
    layers: Vec<Lstm>,
    head: Linear,
}

/// On `flex`, which burn names as the successor of its other backend in plain Rust. The norm of each
/// tensor's gradient is clipped, as burn does, and not that of all.
pub(crate) fn step(shape: Shape, batch: &Batch) -> Result<Step> {
    let device = Device::flex().autodiff();
    let layer = |layer| LstmConfig::new(shape.input(layer), shape.hidden, true).init(&device);
    let mut network = Some(Network {
        embedding: EmbeddingConfig::new(shape.vocab, EMBEDDING).init(&device),
        layers: (0..shape.layers).map(layer).collect(),
        head: LinearConfig::new(shape.hidden, shape.vocab).init(&device),
    });
    let mut optimizer = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(WEIGHT_DECAY)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let tokens =
        |tokens: &[u32]| -> Tensor<1, Int> { Tensor::from_data(TensorData::from(tokens), &device) };
    let inputs = tokens(&batch.inputs).reshape([shape.batch, shape.window]);
    let targets = tokens(&batch.targets);

    Ok(Box::new(move || {
        let learner = network.take().context("an earlier step has failed")?;
        let mut outputs = learner.embedding.forward(inputs.clone());
        for layer in &learner.layers {
            (outputs, _) = layer.forward(outputs, None);
        }
        let logits = learner.head.forward(outputs.flatten(0, 1));
        let loss = criterion.forward(logits, targets.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &learner);
        network = Some(optimizer.step(LEARNING_RATE, learner, gradients));
        Ok(loss.into_scalar())
    }))
}
