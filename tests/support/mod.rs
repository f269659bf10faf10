//! Test models and the vectors' files.

/// A browser without a window.
#[cfg(feature = "html")]
pub mod browser;
/// A folder for a test, and the command run in it.
pub mod place;
/// The command in a pseudo-terminal.
#[cfg(unix)]
#[cfg_attr(
    not(feature = "tui"),
    allow(dead_code, reason = "some of it is for the dashboard alone")
)]
pub mod terminal;
/// A model of running text that is trained for the tests.
pub mod text_model;
/// Every bound, with its reason.
pub mod tolerance;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use charlet::format::Precision;
use charlet::{Backend, Model, State, Workspace};
use charlet_trainer::config::Mode;
use charlet_trainer::data::alphabet::Alphabet;
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::util::rng::Streams;

/// A file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// An alphabet of this many tokens, the last of them the mark.
pub fn alphabet(size: usize) -> Alphabet {
    let chars: String = ('a'..).take(size - 1).collect();
    Alphabet::of([chars.as_str()], Mode::Lines).unwrap()
}

/// A network with random weights.
pub fn network(shape: Shape) -> Network {
    Network::new(shape, &mut Streams::new(9).weights, &Device::Cpu).unwrap()
}

/// A small model's bytes: 5 tokens, odd sizes, 2 layers.
pub fn small_model() -> Vec<u8> {
    let shape = Shape {
        vocab_size: 5,
        embedding_size: 2,
        hidden_size: 3,
        num_layers: 2,
    };
    model_file(&network(shape), &alphabet(5), Precision::F32).unwrap()
}

/// A model that predicts the same logits after every token.
pub fn model_of(logits: &[f32], precision: Precision) -> Vec<u8> {
    let shape = Shape {
        vocab_size: logits.len(),
        embedding_size: 1,
        hidden_size: 1,
        num_layers: 1,
    };
    let tensors: HashMap<String, Tensor> = shape
        .parameters()
        .into_iter()
        .map(|parameter| {
            let tensor = match parameter.name.as_str() {
                "head.bias" => Tensor::new(logits, &Device::Cpu).unwrap(),
                _ => Tensor::zeros(parameter.dims, DType::F32, &Device::Cpu).unwrap(),
            };
            (parameter.name, tensor)
        })
        .collect();
    model_file(
        &Network::from_tensors(shape, &tensors).unwrap(),
        &alphabet(logits.len()),
        precision,
    )
    .unwrap()
}

/// The memory that a model needs.
pub fn memory(model: &Model<'_>) -> (State<Vec<u32>>, Workspace<Vec<u32>>) {
    let sizes = model.sizes();
    (
        State::from_words(vec![0; sizes.state]),
        Workspace::from_words(vec![0; sizes.workspace]),
    )
}

/// Bytes as people compare them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file of `tests/vectors`.
pub struct Case {
    pub name: &'static str,
    tensors: HashMap<String, Tensor>,
}

impl Case {
    pub fn load(name: &'static str) -> Self {
        let path = repository(&format!("tests/vectors/{name}.safetensors"));
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        Self { name, tensors }
    }

    pub fn tensor(&self, name: &str) -> Tensor {
        let tensor = self.tensors.get(name);
        tensor
            .unwrap_or_else(|| panic!("{} has no tensor {name}", self.name))
            .clone()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.tensor(name)
            .to_dtype(DType::F32)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    /// Whole numbers, in the order `[steps, lanes]` if they are stored as `[lanes, steps]`.
    pub fn tokens(&self, name: &str) -> Vec<u32> {
        let tensor = self.tensor(name);
        let tensor = if tensor.rank() == 2 {
            tensor.t().unwrap()
        } else {
            tensor
        };
        tensor
            .to_dtype(DType::U32)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    pub fn shape(&self) -> Shape {
        let (vocab_size, embedding_size) = self.tensor("embedding.weight").dims2().unwrap();
        let (_, hidden_size) = self.tensor("head.weight").dims2().unwrap();
        let num_layers = self.tensor("h0").dim(0).unwrap();
        Shape {
            vocab_size,
            embedding_size,
            hidden_size,
            num_layers,
        }
    }

    pub fn network(&self) -> Network {
        Network::from_tensors(self.shape(), &self.tensors).unwrap()
    }

    /// The state that the case starts from, `[2, layers, lanes, hidden_size]`.
    pub fn start(&self) -> Tensor {
        let both = Tensor::stack(&[self.tensor("h0"), self.tensor("c0")], 0).unwrap();
        if both.rank() == 3 {
            both.unsqueeze(2).unwrap()
        } else {
            both
        }
    }

    /// The model file of the case's network.
    pub fn model(&self) -> Vec<u8> {
        let alphabet = alphabet(self.shape().vocab_size);
        model_file(&self.network(), &alphabet, Precision::F32).unwrap()
    }
}

/// Runs something with a backend, while no other test selects one.
pub fn with_backend<T>(backend: Backend, run: impl FnOnce() -> T) -> T {
    static SELECTING: Mutex<()> = Mutex::new(());
    // A test that failed meanwhile has left nothing that matters.
    let _guard = SELECTING.lock().unwrap_or_else(PoisonError::into_inner);
    backend.select().unwrap();
    run()
}
