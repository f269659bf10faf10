//! To a state dict of PyTorch in a safetensors file, and the module that loads it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::exported::{Exported, METADATA_KEY};
use crate::model::shape::Shape;

/// How such a file goes on after the eight bytes of its header's length. No checkpoint of a run does.
pub const BEGINNING: &[u8] = b"{\"__metadata__\":{\"charlet.model\":";

/// The bytes of the state dict, named as `nn.Embedding`, `nn.LSTM` and `nn.Linear` name their parameters.
///
/// # Errors
/// If there is no memory left.
pub fn state_dict(exported: &Exported) -> Result<Vec<u8>> {
    let Shape {
        vocab_size,
        hidden_size,
        ..
    } = exported.shape();
    let rows = 4 * hidden_size;
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, dims: &[usize], values: &[f32]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        tensors.push((name.to_owned(), dims.to_vec(), bytes.collect()));
    };
    if let Some(embedding) = &exported.embedding {
        let dims = [vocab_size, embedding.columns];
        add("embedding.weight", &dims, embedding.values());
    }
    // PyTorch has two biases, which it adds.
    let zeros = vec![0.0; rows];
    for (layer, [weight_ih, weight_hh, bias]) in exported.layers.iter().enumerate() {
        let mut add = |name, dims: &[usize], values| {
            add(&format!("lstm.{name}_l{layer}"), dims, values);
        };
        add("weight_ih", &[rows, weight_ih.columns], weight_ih.values());
        add("weight_hh", &[rows, hidden_size], weight_hh.values());
        add("bias_ih", &[rows], bias.values());
        add("bias_hh", &[rows], &zeros);
    }
    let dims = [vocab_size, hidden_size];
    add("head.weight", &dims, exported.head.values());
    add("head.bias", &dims[..1], exported.head_bias.values());

    let views = tensors.iter().map(|(name, dims, bytes)| {
        let view = TensorView::new(Dtype::F32, dims.clone(), bytes)?;
        Ok((name, view))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), exported.metadata()?)]);
    Ok(serialize(views, Some(metadata))?)
}

/// The module in PyTorch that a file's state dict fits, and the line that loads it.
///
/// # Errors
/// None that is known.
pub fn loading(exported: &Exported, file: &Path) -> Result<String> {
    let shape = exported.shape();
    let (vocab, hidden, layers) = (shape.vocab_size, shape.hidden_size, shape.num_layers);
    let inputs = exported.input_size();
    // A string in JSON is one in Python, too.
    let file = serde_json::to_string(&file.to_string_lossy())?;
    let (embedding, x) = if exported.is_one_hot() {
        let x = format!("torch.nn.functional.one_hot(tokens, {vocab}).float()");
        (String::new(), x)
    } else {
        let embedding = format!("        self.embedding = torch.nn.Embedding({vocab}, {inputs})\n");
        (embedding, "self.embedding(tokens)".to_owned())
    };
    Ok(format!(
        "\
import torch
from safetensors.torch import load_file

class CharLSTM(torch.nn.Module):
    def __init__(self):
        super().__init__()
{embedding}        self.lstm = torch.nn.LSTM({inputs}, {hidden}, {layers})
        self.head = torch.nn.Linear({hidden}, {vocab})

    def forward(self, tokens, state=None):
        y, state = self.lstm({x}, state)
        return self.head(y), state

model = CharLSTM()
model.load_state_dict(load_file({file}))
"
    ))
}
