//! Launches of the kernels in `pointwise.cu`.
//!
//! They are compiled when first used, by the compiler in NVIDIA's libraries: the tensor library links it
//! anyway, and so no other compiler is needed, and the code fits the GPU at hand.
#![allow(unsafe_code, reason = "a kernel can't be launched without it")]

use std::sync::LazyLock;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::{CudaDevice, CudaStorage, Layout, Result, bail};

use super::pointwise::{Backward, Step};

/// Threads of a block: enough to hide the memory's latency, few enough that small steps fill all
/// multiprocessors.
const BLOCK: u32 = 256;

/// The kernels, compiled.
static PTX: LazyLock<std::result::Result<String, String>> = LazyLock::new(|| {
    let compiled = compile_ptx(include_str!("pointwise.cu"));
    compiled
        .map(|ptx| ptx.to_src())
        .map_err(|error| format!("the step's kernels can't be compiled: {error}"))
});

/// A buffer on the GPU and how it lies there.
type Buffer<'s> = (&'s CudaStorage, &'s Layout);
type BufferMut<'s> = (&'s mut CudaStorage, &'s Layout);

pub(super) fn forward(step: &Step, tape: BufferMut<'_>, product: Buffer<'_>) -> Result<()> {
    let kernel = kernel("lstm_forward", &tape.0.device)?;
    let stream = tape.0.device.cuda_stream();
    let (tape, product) = (whole_mut(tape)?, whole(product)?);
    let (units, hidden_size) = sizes(step)?;
    let places = [step.gates, step.c_before, step.c, step.h];
    let places = within(tape, places, step)?;
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(tape).arg(product).arg(&units).arg(&hidden_size);
    for place in &places {
        launch.arg(place);
    }
    // SAFETY: these are the kernel's parameters in its order. It touches no more than the step's values,
    // and they are within the buffers.
    unsafe { launch.launch(blocks(units)) }.w()?;
    Ok(())
}

pub(super) fn backward(
    gradient: &Backward,
    grads: BufferMut<'_>,
    tape: Buffer<'_>,
    product: Buffer<'_>,
) -> Result<()> {
    let kernel = kernel("lstm_backward", &grads.0.device)?;
    let stream = grads.0.device.cuda_stream();
    let (grads, tape, product) = (whole_mut(grads)?, whole(tape)?, whole(product)?);
    let Backward {
        step,
        dh,
        dh_last,
        dc,
        going_on,
    } = gradient;
    let (units, hidden_size) = sizes(step)?;
    let of_tape = within(tape, [step.gates, step.c_before, step.c], step)?;
    let [gates, of_grads @ ..] = within(grads, [step.gates, *dh, *dh_last, *dc], step)?;
    let going_on = *going_on as u32;
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(grads).arg(tape).arg(product);
    launch.arg(&units).arg(&hidden_size);
    launch.arg(&gates);
    for place in of_tape[1..].iter().chain(&of_grads) {
        launch.arg(place);
    }
    launch.arg(&going_on);
    // SAFETY: as in `forward`.
    unsafe { launch.launch(blocks(units)) }.w()?;
    Ok(())
}

fn kernel(name: &str, device: &CudaDevice) -> Result<CudaFunction> {
    match &*PTX {
        Ok(ptx) => {
            let function = device.get_or_load_custom_func(name, "charlet-lstm", ptx)?;
            Ok(function.into_cuda_function())
        }
        Err(error) => bail!("{error}"),
    }
}

/// A step's number of units and hidden size, as the kernels count them.
fn sizes(step: &Step) -> Result<(u32, u32)> {
    match (u32::try_from(step.units), u32::try_from(step.hidden_size)) {
        // Beyond it the last block's threads would be counted from 0 again.
        (Ok(units), Ok(hidden_size)) if units <= u32::MAX - BLOCK => Ok((units, hidden_size)),
        _ => bail!("a step of {} values is too large", step.units),
    }
}

/// A thread for each unit.
fn blocks(units: u32) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (units.div_ceil(BLOCK), 1, 1),
        block_dim: (BLOCK, 1, 1),
        shared_mem_bytes: 0,
    }
}

fn whole<'s>((storage, layout): Buffer<'s>) -> Result<&'s CudaSlice<f32>> {
    check(layout)?;
    storage.as_cuda_slice()
}

fn whole_mut<'s>((storage, layout): BufferMut<'s>) -> Result<&'s mut CudaSlice<f32>> {
    check(layout)?;
    storage.as_cuda_slice_mut()
}

/// Places of values of a step, as the kernels count them.
fn within<const N: usize>(
    buffer: &CudaSlice<f32>,
    places: [usize; N],
    step: &Step,
) -> Result<[u64; N]> {
    for place in places {
        // The gates have four values for a unit.
        let length = if place == step.gates { 4 } else { 1 } * step.units;
        if place + length > buffer.len() {
            bail!("a step reaches beyond its buffer");
        }
    }
    Ok(places.map(|place| place as u64))
}

/// A kernel sees a buffer from its beginning, without gaps.
fn check(layout: &Layout) -> Result<()> {
    match layout.contiguous_offsets() {
        Some((0, _)) => Ok(()),
        _ => bail!("a kernel needs a whole tensor"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pointwise::{Backward, Forward, Step};
    use super::PTX;
    use candle_core::{Device, Tensor};

    /// The compiler of NVIDIA's libraries needs no GPU.
    #[test]
    fn the_kernels_compile() {
        let ptx = PTX.as_ref().unwrap();
        assert!(ptx.contains("lstm_forward") && ptx.contains("lstm_backward"));
    }

    /// More than a block of units, the last lane of which ends with the step.
    const STEP: Step = Step {
        units: 3 * 130,
        hidden_size: 130,
        gates: 11,
        c_before: 1600,
        c: 2000,
        h: 2400,
    };

    /// The tape after the step and the gradients before it.
    fn run(device: &Device) -> [Vec<f32>; 2] {
        let tensor = |count: usize, factor: usize| {
            let value = |at: usize| (at * factor % 101) as f32 / 50.0 - 1.0;
            let values: Vec<f32> = (0..count).map(value).collect();
            Tensor::from_vec(values, count, device).unwrap()
        };
        let [tape, grads] = [37, 41].map(|factor| tensor(2800, factor));
        let forward = Forward(STEP);
        tape.inplace_op2(&tensor(4 * STEP.units, 43), &forward)
            .unwrap();
        let backward = Backward {
            step: STEP,
            dh: 2400,
            dh_last: 1600,
            dc: 2000,
            going_on: 2 * STEP.hidden_size,
        };
        let later = tensor(backward.going_on, 47);
        grads.inplace_op3(&tape, &later, &backward).unwrap();
        [tape, grads].map(|tensor| tensor.to_vec1().unwrap())
    }

    #[test]
    fn a_step_is_that_of_the_processor() {
        let gpu = match Device::new_cuda(0) {
            Ok(gpu) => gpu,
            Err(error) => return eprintln!("skipped: there is no GPU: {error}"),
        };
        let (actual, expected) = (run(&gpu).concat(), run(&Device::Cpu).concat());
        assert_eq!(actual.len(), expected.len());
        for (at, (actual, expected)) in actual.iter().zip(expected).enumerate() {
            // Some roundings of values below 4.
            let difference = (actual - expected).abs();
            assert!(difference < 4e-6, "{at}: {actual} instead of {expected}");
        }
    }
}
