//! The trainer's gradients against PyTorch, finite differences and each other.

use candle_core::{Device, Tensor, Var};
use charlet_trainer::config::{Config, Mode, NetworkConfig};
use charlet_trainer::data::batch::Batch;
use charlet_trainer::model::lstm::dropout::Dropout;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::util::rng::Streams;

use crate::support::tolerance::{BETWEEN_OURS, FINITE_DIFFERENCE, GRADIENT, LOSS};
use crate::support::{Case, network};

/// How a batch's loss and last state are computed.
type BackwardFn = fn(&Network, &Batch, &Tensor, Option<Dropout>) -> (Tensor, Tensor);

fn fused(
    network: &Network,
    batch: &Batch,
    start: &Tensor,
    dropout: Option<Dropout>,
) -> (Tensor, Tensor) {
    let output = network.run(batch, start, dropout).unwrap();
    (output.loss, output.state)
}

fn composed(
    network: &Network,
    batch: &Batch,
    start: &Tensor,
    dropout: Option<Dropout>,
) -> (Tensor, Tensor) {
    let trace = network.trace(batch, start, dropout).unwrap();
    (trace.loss(batch).unwrap(), trace.last_state().unwrap())
}

/// As on a GPU.
fn by_tensors(
    network: &Network,
    batch: &Batch,
    start: &Tensor,
    dropout: Option<Dropout>,
) -> (Tensor, Tensor) {
    let output = network.run_by_tensors(batch, start, dropout).unwrap();
    (output.loss, output.state)
}

const ALL: [(&str, BackwardFn); 3] = [
    ("fused", fused),
    ("by tensors", by_tensors),
    ("composed", composed),
];

pub fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Lines of different lengths with random tokens, the longest first.
pub fn batch(lengths: &[usize], vocab_size: usize) -> Batch {
    let mut random = Streams::new(4).order;
    let mut tokens = |length| -> Vec<u32> {
        (0..length)
            .map(|_| random.below(vocab_size) as u32)
            .collect()
    };
    let sequences: Vec<_> = lengths
        .iter()
        .map(|&length| (tokens(length), tokens(length)))
        .collect();
    Batch::new(&sequences, false)
}

/// A random state, `[2, layers, lanes, hidden_size]`.
pub fn start(shape: Shape, lanes: usize) -> Var {
    let mut random = Streams::new(5).weights;
    let dims = (2, shape.num_layers, lanes, shape.hidden_size);
    let count = 2 * shape.num_layers * lanes * shape.hidden_size;
    let values = (0..count).map(|_| 0.5 * random.normal()).collect();
    Var::from_tensor(&Tensor::from_vec(values, dims, &Device::Cpu).unwrap()).unwrap()
}

/// The lines of a case, the longest first, with the places that they come from.
fn lines_of(case: &Case) -> (Batch, Vec<u32>) {
    let mask = case.tensor("mask");
    let lengths: Vec<usize> = floats(&mask.sum(1).unwrap())
        .into_iter()
        .map(|length| length as usize)
        .collect();
    let mut order: Vec<u32> = (0..lengths.len() as u32).collect();
    order.sort_by_key(|&line| std::cmp::Reverse(lengths[line as usize]));
    let (inputs, targets) = (case.tokens("tokens"), case.tokens("targets"));
    let sequence = |&line: &u32| {
        let of = |all: &[u32]| -> Vec<u32> {
            (0..lengths[line as usize])
                .map(|step| all[step * lengths.len() + line as usize])
                .collect()
        };
        (of(&inputs), of(&targets))
    };
    (
        Batch::new(&order.iter().map(sequence).collect::<Vec<_>>(), false),
        order,
    )
}

#[test]
fn losses_and_gradients_agree_with_pytorch() {
    for name in ["batch_h7_l1", "batch_h13_l2"] {
        let case = Case::load(name);
        let (batch, order) = lines_of(&case);
        let order = Tensor::from_vec(order.clone(), order.len(), &Device::Cpu).unwrap();
        let sorted = |tensor: Tensor| tensor.index_select(&order, 2).unwrap();
        for (what, pass) in ALL {
            let network = case.network();
            let start = Var::from_tensor(&sorted(case.start())).unwrap();
            let (loss, _) = pass(&network, &batch, start.as_tensor(), None);
            let loss = (loss / batch.predictions() as f64).unwrap();
            let gradients = loss.backward().unwrap();
            let what = format!("{name} {what}");
            LOSS.check(
                &what,
                loss.to_scalar::<f32>().unwrap().into(),
                case.floats("loss")[0].into(),
            );
            let all = floats(gradients.get(network.parameters()).unwrap());
            let mut from = 0;
            for parameter in case.shape().parameters() {
                let expected = case.floats(&format!("grad.{}", parameter.name));
                let actual = &all[from..from + expected.len()];
                GRADIENT.check_all(&format!("{what} {}", parameter.name), actual, &expected);
                from += expected.len();
            }
            assert_eq!(from, all.len());
            let both = [case.tensor("grad.h0"), case.tensor("grad.c0")];
            let expected = floats(&sorted(Tensor::stack(&both, 0).unwrap()));
            let actual = floats(gradients.get(&start).unwrap());
            GRADIENT.check_all(&format!("{what} start"), &actual, &expected);
        }
    }
}

/// Shapes and line lengths on both sides of every boundary: of 4 and 16 units, of 16 lanes a share.
pub fn shapes() -> Vec<(Shape, Vec<usize>)> {
    let shape = |vocab_size, embedding_size, hidden_size, num_layers| Shape {
        vocab_size,
        embedding_size,
        hidden_size,
        num_layers,
    };
    vec![
        (shape(5, 3, 1, 1), vec![4]),
        (shape(11, 5, 7, 2), vec![6, 6, 3, 1]),
        (shape(17, 6, 13, 3), vec![9, 5, 5, 2]),
        (shape(28, 16, 32, 2), vec![8; 33]),
        (
            shape(30, 24, 100, 1),
            (0..70).map(|line| 12 - line / 6).collect(),
        ),
        (shape(28, 16, 128, 2), vec![5; 3]),
    ]
}

pub fn dropouts() -> NetworkConfig {
    NetworkConfig {
        dropout: 0.3,
        weight_dropout: 0.4,
        embedding_dropout: 0.1,
        ..Config::defaults(Mode::Lines).network
    }
}

/// What a pass gives: a goal, made of the mean loss and if asked of the last state, that state, and the
/// gradients of all parameters and of the first state.
fn results(
    pass: BackwardFn,
    shape: Shape,
    batch: &Batch,
    with_dropout: bool,
    with_state: bool,
) -> [Vec<f32>; 4] {
    let network = network(shape);
    let start = start(shape, batch.size);
    let dropout = Dropout::draw(&dropouts(), &mut Streams::new(3).dropout);
    let dropout = with_dropout.then_some(dropout);
    let (loss, last) = pass(&network, batch, start.as_tensor(), dropout);
    let mut goal = (&loss / batch.predictions() as f64).unwrap();
    if with_state {
        goal = (goal + last.sqr().unwrap().mean_all().unwrap()).unwrap();
    }
    let gradients = goal.backward().unwrap();
    [
        floats(&goal),
        floats(&last),
        floats(gradients.get(network.parameters()).unwrap()),
        floats(gradients.get(&start).unwrap()),
    ]
}

fn check_results(what: &str, actual: &[Vec<f32>; 4], expected: &[Vec<f32>; 4], with_state: bool) {
    LOSS.check_all(&format!("loss of {what}"), &actual[0], &expected[0]);
    if with_state {
        BETWEEN_OURS.check_all(&format!("state of {what}"), &actual[1], &expected[1]);
    }
    GRADIENT.check_all(&format!("gradient of {what}"), &actual[2], &expected[2]);
    let what = format!("gradient of the start of {what}");
    GRADIENT.check_all(&what, &actual[3], &expected[3]);
}

/// Values and gradients with every kind of dropout; a gradient that enters through the last state too,
/// which the composed network has only of batches without padding.
#[test]
fn all_networks_agree_with_the_composed_one() {
    for (shape, lengths) in shapes() {
        for with_dropout in [false, true] {
            let with_state = lengths.iter().all(|&length| length == lengths[0]);
            let batch = batch(&lengths, shape.vocab_size);
            let results = |pass| results(pass, shape, &batch, with_dropout, with_state);
            let expected = results(composed);
            for (name, pass) in [("fused", fused as BackwardFn), ("by tensors", by_tensors)] {
                let what = format!("{name} {shape:?} dropout {with_dropout}");
                check_results(&what, &results(pass), &expected, with_state);
            }
        }
    }
}

/// With lines of unequal length the last state is that after each line's own last step.
#[test]
fn the_states_of_padded_lines_agree() {
    for (shape, lengths) in shapes() {
        let batch = batch(&lengths, shape.vocab_size);
        let [actual, expected] =
            [by_tensors as BackwardFn, fused].map(|pass| results(pass, shape, &batch, true, true));
        check_results(&format!("{shape:?}"), &actual, &expected, true);
    }
}

/// What a training step uses, which needn't compute the products of a state of zeros; also where only the
/// states of some lanes are zero.
#[test]
fn a_training_gradient_agrees_with_the_composed_network() {
    for (shape, lengths) in shapes() {
        for (kept, with_dropout) in [(1, false), (3, true), (usize::MAX, true)] {
            let batch = batch(&lengths, shape.vocab_size);
            let network = network(shape);
            let is_kept = |at: usize| at / shape.hidden_size % batch.size % kept == kept - 1;
            let start = floats(start(shape, batch.size).as_tensor());
            let start = start.into_iter().enumerate();
            let start = start.map(|(at, value)| if is_kept(at) { value } else { 0.0 });
            let dims = (2, shape.num_layers, batch.size, shape.hidden_size);
            let start = Tensor::from_vec(start.collect(), dims, &Device::Cpu).unwrap();
            let dropout = Dropout::draw(&dropouts(), &mut Streams::new(3).dropout);
            let dropout = with_dropout.then_some(dropout);
            let (loss, last) = composed(&network, &batch, &start, dropout);
            let mean = (&loss / batch.predictions() as f64).unwrap();
            let grads = mean.backward().unwrap();
            let expected = floats(grads.get(network.parameters()).unwrap());
            // A second one overwrites what the first left behind.
            for _ in 0..2 {
                let gradient = network.gradient(&batch, &start, dropout).unwrap();
                let what = format!("{shape:?}, every {kept}th state");
                let nats = f64::from(loss.to_scalar::<f32>().unwrap());
                LOSS.check(&format!("loss of {what}"), gradient.loss_sum, nats);
                GRADIENT.check_all(&format!("gradient of {what}"), &gradient.grads, &expected);
                if lengths.iter().all(|&length| length == lengths[0]) {
                    let [actual, expected] = [&gradient.state, &last].map(floats);
                    BETWEEN_OURS.check_all(&format!("state of {what}"), &actual, &expected);
                }
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    let shape = Shape {
        vocab_size: 6,
        embedding_size: 3,
        hidden_size: 5,
        num_layers: 2,
    };
    let batch = batch(&[5, 3, 2], shape.vocab_size);
    let network = network(shape);
    let start = start(shape, batch.size);
    let loss = || network.run(&batch, start.as_tensor(), None).unwrap().loss;
    let gradients = loss().backward().unwrap();
    let check = |what: &str, var: &Var| {
        let grads = floats(gradients.get(var).unwrap());
        let values = floats(var);
        for at in (0..values.len()).step_by(3) {
            let at_offset = |offset: f32| -> f64 {
                let mut changed = values.clone();
                changed[at] += offset;
                var.set(&Tensor::from_vec(changed, var.shape(), &Device::Cpu).unwrap())
                    .unwrap();
                loss().to_scalar::<f32>().unwrap().into()
            };
            let grad = (at_offset(1e-2) - at_offset(-1e-2)) / 2e-2;
            at_offset(0.0);
            FINITE_DIFFERENCE.check(&format!("{what}[{at}]"), grads[at].into(), grad);
        }
    };
    check("parameters", network.parameters());
    check("start", &start);
}

/// A line's result doesn't depend on the lines beside it, nor on how the batch is shared out.
#[test]
fn lanes_do_not_touch_each_other() {
    let shape = Shape {
        vocab_size: 11,
        embedding_size: 5,
        hidden_size: 7,
        num_layers: 2,
    };
    let network = network(shape);
    let all = batch(&[6; 70], shape.vocab_size);
    let zero = |lanes| network.zero_state(lanes).unwrap();
    let together = network.run(&all, &zero(70), None).unwrap().state;
    for lane in [0, 1, 31, 32, 69] {
        let column = |tokens: &[u32]| (0..6).map(|step| tokens[step * 70 + lane]).collect();
        let alone = Batch::new(&[(column(&all.inputs), column(&all.targets))], false);
        let alone = network.run(&alone, &zero(1), None).unwrap().state;
        let same = together.narrow(2, lane, 1).unwrap();
        BETWEEN_OURS.check_all(&format!("lane {lane}"), &floats(&alone), &floats(&same));
    }
}

#[test]
fn a_gradient_of_an_overwritten_pass_is_refused() {
    let shape = Shape {
        vocab_size: 5,
        embedding_size: 2,
        hidden_size: 3,
        num_layers: 1,
    };
    let network = network(shape);
    let batch = batch(&[3], shape.vocab_size);
    let zero = network.zero_state(1).unwrap();
    let first = network.run(&batch, &zero, None).unwrap();
    let second = network.run(&batch, &zero, None).unwrap();
    assert!(first.loss.backward().is_err());
    assert!(second.loss.backward().is_ok());
    assert!(second.loss.backward().is_err(), "the tape is used up");
}
