//! The kernels for a GPU against their formulas, and the network there against the processor's.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use charlet_trainer::util::rng::Streams;

use crate::support::repository;
use crate::support::tolerance::KERNEL;

const HIDDEN: usize = 5;
const LANES: usize = 3;
const UNITS: usize = LANES * HIDDEN;
/// Lanes that go on after the step.
const GOING_ON: usize = 2;
/// Where the gates stand, in the tape and in the gradients.
const GATES: usize = 7;
/// Where the other values stand in the tape: c before the step, c and h after it; and in the gradients:
/// that of the output, of the last h, and of c. There are gaps between them.
const PLACES: [usize; 3] = [70, 90, 110];
const LENGTH: usize = 130;

/// The kernels as a program for the processor; `None` where there is no C compiler.
fn program(folder: &Path) -> Option<Command> {
    let program = folder.join("kernels");
    let compiled = Command::new("cc")
        .arg("-I")
        .arg(repository("trainer/src/model/lstm/gpu"))
        .args(["-Wall", "-Werror", "-O1", "-o"])
        .arg(&program)
        .arg(repository("tests/training/cuda.c"))
        .arg("-lm")
        .status();
    match compiled {
        Ok(status) => assert!(status.success(), "the kernels can't be compiled"),
        Err(error) => {
            eprintln!("skipped: there is no C compiler: {error}");
            return None;
        }
    }
    Some(Command::new(program))
}

/// Runs a kernel on buffers and gives the first as it is then.
fn run(mut program: Command, kernel: &str, buffers: [&[f32]; 3], numbers: &[usize]) -> Vec<f32> {
    let lengths = buffers.map(<[f32]>::len);
    let numbers = lengths.iter().chain(numbers).map(usize::to_string);
    program.arg(kernel).args(numbers);
    program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let bytes = buffers.concat().into_iter().flat_map(f32::to_le_bytes);
    let bytes: Vec<u8> = bytes.collect();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{kernel}: {}", output.status);
    let (floats, rest) = output.stdout.as_chunks();
    assert!(rest.is_empty());
    floats
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Where the first gate of a unit stands.
fn gate(unit: usize) -> usize {
    GATES + unit / HIDDEN * 4 * HIDDEN + unit % HIDDEN
}

/// What the forward kernel should make of the tape.
fn forward(tape: &[f32], product: &[f32]) -> Vec<f32> {
    let mut after = tape.to_vec();
    let [c_before, c, h] = PLACES;
    for unit in 0..UNITS {
        let at = |gate_index: usize| gate(unit) + gate_index * HIDDEN;
        let sum = |index| f64::from(tape[at(index)]) + f64::from(product[at(index) - GATES]);
        let (i, f, g, o) = (
            sigmoid(sum(0)),
            sigmoid(sum(1)),
            sum(2).tanh(),
            sigmoid(sum(3)),
        );
        let new_c = f * f64::from(tape[c_before + unit]) + i * g;
        for (index, activated) in [i, f, g, o].into_iter().enumerate() {
            after[at(index)] = activated as f32;
        }
        after[c + unit] = new_c as f32;
        after[h + unit] = (o * new_c.tanh()) as f32;
    }
    after
}

/// What the backward kernel should make of the gradients.
fn backward(grads: &[f32], tape: &[f32], product: &[f32]) -> Vec<f32> {
    let mut after = grads.to_vec();
    let [c_before, c, _] = PLACES;
    let [dh, dh_last, dc] = PLACES;
    for unit in 0..UNITS {
        let at = |index: usize| gate(unit) + index * HIDDEN;
        let [i, f, g, o] = [0, 1, 2, 3].map(|index| f64::from(tape[at(index)]));
        let squashed = f64::from(tape[c + unit]).tanh();
        let later = product.get(unit).unwrap_or(&grads[dh_last + unit]);
        let d_h = f64::from(grads[dh + unit]) + f64::from(*later);
        let d_c = f64::from(grads[dc + unit]) + d_h * o * (1.0 - squashed.powi(2));
        let before = f64::from(tape[c_before + unit]);
        let of_sums = [
            d_c * g * i * (1.0 - i),
            d_c * before * f * (1.0 - f),
            d_c * i * (1.0 - g * g),
            d_h * squashed * o * (1.0 - o),
        ];
        for (index, grad) in of_sums.into_iter().enumerate() {
            after[at(index)] = grad as f32;
        }
        after[dc + unit] = (d_c * f) as f32;
    }
    after
}

/// The kernels' own source, compiled as C: what they write, and that they write nothing else.
#[test]
fn the_kernels_compute_a_step_and_its_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Streams::new(6).weights;
    let mut values = |count: usize| -> Vec<f32> { (0..count).map(|_| random.normal()).collect() };
    let (tape, sums) = (values(LENGTH), values(4 * UNITS));
    let (grads, product) = (values(LENGTH), values(GOING_ON * HIDDEN));
    let sizes = [UNITS, HIDDEN, GATES];
    let [c_before, c, _] = PLACES;

    let Some(kernels) = program(folder.path()) else {
        return;
    };
    let numbers = [&sizes[..], &PLACES].concat();
    let actual = run(kernels, "forward", [&tape, &sums, &[]], &numbers);
    KERNEL.check_all("forward", &actual, &forward(&tape, &sums));

    let kernels = Command::new(folder.path().join("kernels"));
    let numbers = [&sizes[..], &[c_before, c], &PLACES, &[GOING_ON * HIDDEN]].concat();
    let grads_after = run(kernels, "backward", [&grads, &actual, &product], &numbers);
    KERNEL.check_all(
        "backward",
        &grads_after,
        &backward(&grads, &actual, &product),
    );
}

/// Losses, last states and gradients, with every kind of dropout.
#[cfg(feature = "cuda")]
#[test]
fn the_network_on_a_gpu_agrees_with_the_processor() {
    use crate::support::tolerance::GPU;
    use crate::training::gradients::{batch, dropouts, floats, shapes, start};
    use candle_core::Device;
    use charlet_trainer::model::lstm::dropout::Dropout;
    use charlet_trainer::model::network::Network;

    let gpu = match Device::new_cuda(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("skipped: there is no GPU: {error}"),
    };
    for (shape, lengths) in shapes() {
        for with_dropout in [false, true] {
            let batch = batch(&lengths, shape.vocab_size);
            let [expected, actual] = [&Device::Cpu, &gpu].map(|device| {
                let network = Network::new(shape, &mut Streams::new(9).weights, device).unwrap();
                let state = start(shape, batch.size).to_device(device).unwrap();
                let dropout = Dropout::draw(&dropouts(), &mut Streams::new(3).dropout);
                let dropout = with_dropout.then_some(dropout);
                network.gradient(&batch, &state, dropout).unwrap()
            });
            let what = format!("{shape:?} dropout {with_dropout}");
            let mean = |nats: f64| nats / batch.predictions() as f64;
            GPU.check(
                &format!("loss of {what}"),
                mean(actual.loss_sum),
                mean(expected.loss_sum),
            );
            let (state, expected_state) = (floats(&actual.state), floats(&expected.state));
            GPU.check_all(&format!("state of {what}"), &state, &expected_state);
            GPU.check_all(
                &format!("gradient of {what}"),
                &actual.grads,
                &expected.grads,
            );
        }
    }
}
