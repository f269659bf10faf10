//! The network that is trained: embedding, stacked LSTM layers, linear head.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Storage, Tensor, Var};

use super::fake_quant::{self, Rounding};
use super::lstm::cpu::{Scratch, SequenceLoss};
use super::lstm::dropout::Dropout;
use super::lstm::gpu::GpuPass;
use super::lstm::profile::Profile;
use super::lstm::reference::Trace;
use super::lstm::{contiguous, reference};
use super::shape::{Parameter, Shape};
use crate::data::batch::Batch;
use crate::util::rng::Random;

/// What a forward pass gives.
#[derive(Clone, Debug)]
pub struct Output {
    /// The summed cross-entropy of the batch's predictions, in nats; a scalar.
    pub loss: Tensor,
    /// The state after the last step, `[2, layers, batch, hidden_size]`, h first.
    pub state: Tensor,
}

impl Output {
    /// The parts of a pass's result, given a state of the same shape.
    fn new(result: &Tensor, state: &Tensor) -> Result<Self> {
        Ok(Self {
            loss: result.get(0)?,
            state: result
                .narrow(0, 1, state.elem_count())?
                .reshape(state.shape())?,
        })
    }
}

/// What a forward and backward pass give.
#[derive(Clone, Debug)]
pub struct LossAndGrads {
    /// The summed cross-entropy of the batch's predictions, in nats.
    pub loss_sum: f64,
    /// The gradients of the mean cross-entropy, in the order of [`Network::parameters`].
    pub grads: Vec<f32>,
    /// The state after the last step, `[2, layers, batch, hidden_size]`, h first.
    pub state: Tensor,
}

/// A trainable network.
#[derive(Clone, Debug)]
pub struct Network {
    shape: Shape,
    /// All parameters in one vector.
    parameters: Var,
    scratch: Arc<Mutex<Scratch>>,
    /// Fake quantization of the weights, in every pass.
    rounding: Option<Rounding>,
}

impl Network {
    /// A network with random weights: the embedding from a normal distribution, the others uniform
    /// within `1 / sqrt(hidden_size)` as PyTorch does, biases 0 but those of the forget gates 1
    /// (Jozefowicz et al., 2015).
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn new(shape: Shape, random: &mut Random, device: &Device) -> Result<Self> {
        let bound = 1.0 / (shape.hidden_size as f32).sqrt();
        let mut values = Vec::with_capacity(shape.parameter_count());
        for parameter in shape.parameters() {
            let count: usize = parameter.dims.iter().product();
            if parameter.is_embedding() {
                values.extend((0..count).map(|_| random.normal()));
            } else if parameter.is_matrix() {
                values.extend((0..count).map(|_| (2.0 * random.uniform() - 1.0) * bound));
            } else {
                let is_head = parameter.name == "head.bias";
                let forget = shape.hidden_size..2 * shape.hidden_size;
                let value = |row| {
                    if !is_head && forget.contains(&row) {
                        1.0
                    } else {
                        0.0
                    }
                };
                values.extend((0..count).map(value));
            }
        }
        Self::from_flat(
            shape,
            Tensor::from_vec(values, shape.parameter_count(), device)?,
        )
    }

    /// A network with these weights, named as by [`Shape::parameters`].
    ///
    /// # Errors
    /// If one is missing or has other dimensions.
    pub fn from_tensors(shape: Shape, tensors: &HashMap<String, Tensor>) -> Result<Self> {
        let mut flat = Vec::new();
        for Parameter { name, dims } in shape.parameters() {
            let tensor = tensors
                .get(&name)
                .with_context(|| format!("{name} is missing"))?;
            ensure!(
                tensor.dims() == dims,
                "{name} is {:?} instead of {dims:?}",
                tensor.dims()
            );
            flat.push(tensor.to_dtype(DType::F32)?.flatten_all()?);
        }
        Self::from_flat(shape, Tensor::cat(&flat, 0)?)
    }

    fn from_flat(shape: Shape, flat: Tensor) -> Result<Self> {
        Ok(Self {
            shape,
            parameters: Var::from_tensor(&flat)?,
            scratch: Arc::default(),
            rounding: None,
        })
    }

    /// Rounds the weights as integer models do whenever they are used. Gradients pass through the
    /// rounding as if it weren't there (Bengio et al., 2013).
    #[must_use]
    pub fn with_rounding(self, rounding: Option<Rounding>) -> Self {
        Self { rounding, ..self }
    }

    /// The network's sizes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// All parameters in one vector, in the order of [`Shape::parameters`].
    pub fn parameters(&self) -> &Var {
        &self.parameters
    }

    /// The parameters by name.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>> {
        self.shape.split(&self.parameters.as_detached_tensor())
    }

    /// The state before a sequence: zero.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn zero_state(&self, batch_size: usize) -> Result<Tensor> {
        let Shape {
            num_layers,
            hidden_size,
            ..
        } = self.shape;
        let dims = (2, num_layers, batch_size, hidden_size);
        Ok(Tensor::zeros(dims, DType::F32, self.parameters.device())?)
    }

    /// The state that a batch starts from: zero, or that of the first lanes of the batch before it, which ended in
    /// `last`.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn state_before(&self, batch: &Batch, last: &Tensor) -> Result<Tensor> {
        if !batch.carry_state {
            return self.zero_state(batch.size);
        }
        let is_whole = last.dim(2)? <= batch.size;
        Ok(if is_whole {
            last.clone()
        } else {
            last.narrow(2, 0, batch.size)?.contiguous()?
        })
    }

    /// Runs a batch from a state: fused on the processor, and as
    /// [`run_by_tensors`](Self::run_by_tensors) elsewhere.
    ///
    /// # Errors
    /// If the state has another batch size, or the device no memory left.
    pub fn run(&self, batch: &Batch, state: &Tensor, dropout: Option<Dropout>) -> Result<Output> {
        if !self.parameters.device().is_cpu() {
            return self.run_by_tensors(batch, state, dropout);
        }
        let operation = self.operation(batch, state, dropout)?;
        let parameters = self.effective(dropout)?;
        Output::new(
            &parameters.apply_op2(&state.contiguous()?, operation)?,
            state,
        )
    }

    /// Runs a batch from a state as on a GPU: in large tensor operations, and one kernel for each step.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_by_tensors(
        &self,
        batch: &Batch,
        state: &Tensor,
        dropout: Option<Dropout>,
    ) -> Result<Output> {
        self.check_state(batch, state)?;
        let outputs = dropout.and_then(|dropout| dropout.outputs());
        let parameters = self.effective(dropout)?;
        let pass = GpuPass::new(self.shape, &parameters, batch, state, outputs)?;
        Output::new(&parameters.apply_op2(state, pass)?, state)
    }

    /// The gradient of a batch's mean loss: [`run`](Self::run) and its backward pass. On the CPU it
    /// bypasses the tensor library, whose threads spin while they wait.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn gradient(
        &self,
        batch: &Batch,
        state: &Tensor,
        dropout: Option<Dropout>,
    ) -> Result<LossAndGrads> {
        let predictions = batch.predictions();
        if !self.parameters.device().is_cpu() {
            let output = self.run(batch, state, dropout)?;
            let loss_sum = f64::from(output.loss.to_scalar::<f32>()?);
            let gradients = (output.loss / predictions as f64)?.backward()?;
            let grads = gradients
                .get(&self.parameters)
                .context("the weights have no gradient")?;
            return Ok(LossAndGrads {
                loss_sum,
                grads: grads.to_vec1()?,
                state: output.state.detach(),
            });
        }
        let operation = self.operation(batch, state, dropout)?;
        let (storage, layout) = self.parameters.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            bail!("the weights are on another device");
        };
        let exact = contiguous(storage, layout)?;
        let dropout = dropout.filter(Dropout::has_parameters);
        let mut changed = self
            .rounding
            .map(|rounding| fake_quant::rounded(self.shape, rounding, exact));
        if let Some(dropout) = dropout {
            let parameters = changed.get_or_insert_with(|| exact.to_vec());
            dropout.mask_parameters(self.shape, parameters);
        }
        let parameters = changed.as_deref().unwrap_or(exact);
        let start = state.flatten_all()?.to_vec1::<f32>()?;
        let mut grads = operation.gradient(parameters, &start, 1.0 / predictions as f32);
        if let Some(dropout) = dropout {
            dropout.mask_parameters(self.shape, &mut grads.parameters);
        }
        Ok(LossAndGrads {
            loss_sum: grads.loss_sum,
            grads: grads.parameters,
            state: Tensor::from_vec(grads.state, state.shape(), &Device::Cpu)?,
        })
    }

    /// The fused pass of a batch.
    fn operation(
        &self,
        batch: &Batch,
        state: &Tensor,
        dropout: Option<Dropout>,
    ) -> Result<SequenceLoss> {
        self.check_state(batch, state)?;
        let outputs = dropout.and_then(|dropout| dropout.outputs());
        let scratch = Arc::clone(&self.scratch);
        Ok(SequenceLoss::new(self.shape, batch, outputs, scratch))
    }

    fn check_state(&self, batch: &Batch, state: &Tensor) -> Result<()> {
        let expected = [2, self.shape.num_layers, batch.size, self.shape.hidden_size];
        ensure!(
            state.dims() == expected,
            "a state {:?} instead of {expected:?}",
            state.dims()
        );
        Ok(())
    }

    /// The profile of the fused passes since the last call.
    pub fn take_profile(&self) -> Profile {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        scratch.take_profile()
    }

    /// Runs a batch with plain tensor operations and keeps every step.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn trace(&self, batch: &Batch, state: &Tensor, dropout: Option<Dropout>) -> Result<Trace> {
        let outputs = dropout.and_then(|dropout| dropout.outputs());
        reference::run(self.shape, &self.effective(dropout)?, batch, state, outputs)
    }

    /// The parameters as a pass uses them: after rounding and dropout.
    fn effective(&self, dropout: Option<Dropout>) -> Result<Tensor> {
        let exact = self.parameters.as_tensor();
        let constant = |values| Tensor::from_vec(values, exact.shape(), exact.device());
        let mut parameters = exact.clone();
        if let Some(rounding) = self.rounding {
            let exact: Vec<f32> = exact.to_vec1()?;
            let rounded = fake_quant::rounded(self.shape, rounding, &exact);
            let error = rounded
                .iter()
                .zip(&exact)
                .map(|(rounded, exact)| rounded - exact);
            parameters = (parameters + constant(error.collect())?)?;
        }
        if let Some(dropout) = dropout.filter(Dropout::has_parameters) {
            let mut mask = vec![1.0; self.shape.parameter_count()];
            dropout.mask_parameters(self.shape, &mut mask);
            parameters = (parameters * constant(mask)?)?;
        }
        Ok(parameters)
    }
}
