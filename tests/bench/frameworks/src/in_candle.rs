use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_nn::loss::cross_entropy;
use candle_nn::rnn::{LSTMConfig, RNN, lstm};
use candle_nn::{AdamW, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, embedding, linear};

use crate::{Batch, EMBEDDING, LEARNING_RATE, Shape, Step, WEIGHT_DECAY};

/// Without clipping, which candle-nn doesn't have: that saves it some work.
pub(crate) fn step(shape: Shape, batch: &Batch) -> Result<Step> {
    let variables = VarMap::new();
    let weights = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let embedding = embedding(shape.vocab, EMBEDDING, weights.pp("embedding"))?;
    let layer = |layer_idx| {
        let config = LSTMConfig {
            layer_idx,
            ..LSTMConfig::default()
        };
        lstm(
            shape.input(layer_idx),
            shape.hidden,
            config,
            weights.pp("lstm"),
        )
    };
    let layers = (0..shape.layers)
        .map(layer)
        .collect::<Result<Vec<_>, _>>()?;
    let head = linear(shape.hidden, shape.vocab, weights.pp("head"))?;
    let settings = ParamsAdamW {
        lr: LEARNING_RATE,
        weight_decay: WEIGHT_DECAY.into(),
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(variables.all_vars(), settings)?;
    let inputs = Tensor::from_slice(&batch.inputs, (shape.batch, shape.window), &Device::Cpu)?;
    let targets = Tensor::from_slice(&batch.targets, batch.targets.len(), &Device::Cpu)?;

    Ok(Box::new(move || {
        let mut outputs = embedding.forward(&inputs)?;
        for layer in &layers {
            outputs = layer.states_to_tensor(&layer.seq(&outputs)?)?;
        }
        let logits = head.forward(&outputs.flatten_to(1)?)?;
        let loss = cross_entropy(&logits, &targets)?;
        optimizer.backward_step(&loss)?;
        Ok(loss.to_scalar()?)
    }))
}
