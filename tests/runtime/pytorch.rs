//! h, c and logits of trainer and runtime against PyTorch, at every step.
//!
//! The vectors are made by `vectors/generate.py` in double precision.

use candle_core::Tensor;
use charlet::{Model, State, Token, Workspace};
use charlet_trainer::data::batch::Batch;
use charlet_trainer::model::lstm::dropout::Dropout;
use charlet_trainer::model::network::{Network, Output};
use sha2::{Digest, Sha256};

use crate::support::tolerance::{BETWEEN_OURS, CELL, LONG, LONG_SUM, SATURATED, STATE, Tolerance};
use crate::support::{Case, hex, memory};

/// Cases that store every step, with the bounds of h and logits, and of c.
const EVERY_STEP: [(&str, Tolerance, Tolerance); 7] = [
    ("h1_l1", STATE, CELL),
    ("h7_l2", STATE, CELL),
    ("h13_l3", STATE, CELL),
    ("h32_l2_one_step", STATE, CELL),
    ("h100_l1", STATE, CELL),
    ("h128_l2", STATE, CELL),
    ("saturated", SATURATED, SATURATED),
];

/// h and c of all layers, and logits, after each step.
struct Steps {
    h: Vec<f32>,
    c: Vec<f32>,
    logits: Vec<f32>,
}

fn expected(case: &Case) -> Steps {
    Steps {
        h: case.floats("h"),
        c: case.floats("c"),
        logits: case.floats("logits"),
    }
}

/// The runtime with the memory of a text.
struct Text<'m> {
    model: Model<'m>,
    state: State<Vec<u32>>,
    workspace: Workspace<Vec<u32>>,
}

impl<'m> Text<'m> {
    fn start(case: &Case, model: Model<'m>) -> Self {
        let (mut state, workspace) = memory(&model);
        let size = case.shape().hidden_size;
        let (h, c) = (case.floats("h0"), case.floats("c0"));
        for (layer, (h, c)) in h.chunks(size).zip(c.chunks(size)).enumerate() {
            model.set_layer(&mut state, layer, h, c).unwrap();
        }
        Self {
            model,
            state,
            workspace,
        }
    }

    fn step(&mut self, token: u32, steps: &mut Steps) {
        let token = Token(token as u16);
        let logits = self
            .model
            .step(token, &mut self.state, &mut self.workspace)
            .unwrap();
        steps.logits.extend(logits.iter());
        for layer in 0..usize::from(self.model.header().num_layers) {
            steps
                .h
                .extend(self.model.hidden_state(&self.state, layer).unwrap());
            steps
                .c
                .extend(self.model.cell_state(&self.state, layer).unwrap());
        }
    }
}

fn runtime(case: &Case) -> Steps {
    let bytes = case.model();
    let mut text = Text::start(case, Model::from_bytes(&bytes).unwrap());
    let mut steps = Steps {
        h: Vec::new(),
        c: Vec::new(),
        logits: Vec::new(),
    };
    for token in case.tokens("tokens") {
        text.step(token, &mut steps);
    }
    steps
}

/// The trainer's reference of tensor operations.
fn composed(case: &Case) -> Steps {
    let tokens = case.tokens("tokens");
    let batch = Batch::new(&[(tokens.clone(), tokens)], false);
    let trace = case.network().trace(&batch, &case.start(), None).unwrap();
    let by_step = |layers: &[Vec<candle_core::Tensor>]| -> Vec<f32> {
        let values = |step: usize| layers.iter().flat_map(move |layer| rows(&layer[step]));
        (0..batch.steps).flat_map(values).collect()
    };
    Steps {
        h: by_step(&trace.h),
        c: by_step(&trace.c),
        logits: rows(&trace.logits),
    }
}

fn rows(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn the_runtime_agrees_with_pytorch_at_every_step() {
    for (name, state, cell) in EVERY_STEP {
        let case = Case::load(name);
        let (actual, expected) = (runtime(&case), expected(&case));
        state.check_all(&format!("{name} h"), &actual.h, &expected.h);
        cell.check_all(&format!("{name} c"), &actual.c, &expected.c);
        state.check_all(&format!("{name} logits"), &actual.logits, &expected.logits);
    }
}

#[test]
fn the_composed_network_agrees_with_pytorch_at_every_step() {
    for (name, state, cell) in EVERY_STEP {
        let case = Case::load(name);
        let (actual, expected) = (composed(&case), expected(&case));
        state.check_all(&format!("{name} h"), &actual.h, &expected.h);
        cell.check_all(&format!("{name} c"), &actual.c, &expected.c);
        state.check_all(&format!("{name} logits"), &actual.logits, &expected.logits);
    }
}

/// How a network is run.
type ForwardFn = fn(&Network, &Batch, &Tensor, Option<Dropout>) -> anyhow::Result<Output>;

#[test]
fn the_fused_network_agrees_with_pytorch_at_every_step() {
    agrees_with_pytorch_at_every_step(Network::run);
}

/// As on a GPU.
#[test]
fn the_network_by_tensors_agrees_with_pytorch_at_every_step() {
    agrees_with_pytorch_at_every_step(Network::run_by_tensors);
}

/// A network shows its state after a batch: one step at a time, and all steps at once.
fn agrees_with_pytorch_at_every_step(run: ForwardFn) {
    for (name, state, cell) in EVERY_STEP {
        let case = Case::load(name);
        let (network, expected) = (case.network(), expected(&case));
        let tokens = case.tokens("tokens");
        let width = expected.h.len() / tokens.len();
        let check = |what: &str, actual: &Tensor, step: usize| {
            let actual = rows(actual);
            let at = step * width..(step + 1) * width;
            state.check_all(
                &format!("{name} h {what}"),
                &actual[..width],
                &expected.h[at.clone()],
            );
            cell.check_all(
                &format!("{name} c {what}"),
                &actual[width..],
                &expected.c[at],
            );
        };
        let mut carried = case.start();
        for (step, &token) in tokens.iter().enumerate() {
            let batch = Batch::new(&[(vec![token], vec![token])], true);
            let output = run(&network, &batch, &carried, None).unwrap();
            check(&format!("after step {step}"), &output.state, step);
            carried = output.state;
        }
        let last = tokens.len() - 1;
        let batch = Batch::new(&[(tokens.clone(), tokens)], false);
        let output = run(&network, &batch, &case.start(), None).unwrap();
        check("after all steps", &output.state, last);
    }
}

#[test]
fn runtime_and_trainer_agree_with_each_other() {
    for (name, ..) in EVERY_STEP.iter().filter(|(name, ..)| *name != "saturated") {
        let case = Case::load(name);
        let (runtime, composed) = (runtime(&case), composed(&case));
        BETWEEN_OURS.check_all(&format!("{name} h"), &runtime.h, &composed.h);
        BETWEEN_OURS.check_all(&format!("{name} c"), &runtime.c, &composed.c);
        BETWEEN_OURS.check_all(&format!("{name} logits"), &runtime.logits, &composed.logits);
    }
}

#[test]
fn ten_thousand_steps_stay_with_pytorch() {
    let case = Case::load("long_h32_l2");
    let bytes = case.model();
    let mut text = Text::start(&case, Model::from_bytes(&bytes).unwrap());
    let expected = expected(&case);
    let width = case.floats("h_sum").len();
    let vocab_size = case.shape().vocab_size;
    let (mut h_sum, mut c_sum) = (vec![0.0f64; width], vec![0.0f64; width]);
    let stored = case.tokens("steps");
    let tokens = case.tokens("tokens");
    assert_eq!((tokens.len(), stored.len()), (10_000, 20));
    let mut digest = Sha256::new();
    let mut checked = 0;
    for (step, &token) in tokens.iter().enumerate() {
        let mut now = Steps {
            h: Vec::new(),
            c: Vec::new(),
            logits: Vec::new(),
        };
        text.step(token, &mut now);
        for (sum, value) in h_sum
            .iter_mut()
            .zip(&now.h)
            .chain(c_sum.iter_mut().zip(&now.c))
        {
            *sum += f64::from(*value);
        }
        for value in now.h.iter().chain(&now.c).chain(&now.logits) {
            digest.update(value.to_le_bytes());
        }
        if let Some(at) = stored.iter().position(|&stored| stored as usize == step) {
            let states = at * width..(at + 1) * width;
            LONG.check_all(
                &format!("h after step {step}"),
                &now.h,
                &expected.h[states.clone()],
            );
            LONG.check_all(&format!("c after step {step}"), &now.c, &expected.c[states]);
            let logits = &expected.logits[at * vocab_size..(at + 1) * vocab_size];
            LONG.check_all(&format!("logits after step {step}"), &now.logits, logits);
            checked += 1;
        }
    }
    assert_eq!(checked, stored.len());
    for (what, sums, expected) in [
        ("h", &h_sum, case.floats("h_sum")),
        ("c", &c_sum, case.floats("c_sum")),
    ] {
        for (&sum, expected) in sums.iter().zip(expected) {
            LONG_SUM.check(&format!("sum of {what}"), sum, expected.into());
        }
    }
    // Not PyTorch's but our own bits: they must be the same on every machine.
    assert_eq!(
        hex(&digest.finalize()),
        RUNTIME_DIGEST,
        "the runtime's bits have changed"
    );
}

/// SHA-256 of h, c and logits of all 10,000 steps, as the runtime computes them.
const RUNTIME_DIGEST: &str = "07e408549d0a249d97f22a73531612bdea22a11239869af6b96e395083b6d85a";
