//! Networks in ONNX files: the graph is followed from what is fed to the logits.
//!
//! The gates of ONNX stand in the order i, o, f, c; our g is their c.

mod constants;
mod folded;
mod index;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use serde_json::Value;

use constants::Constants;

use super::foreign::{Dense, Foreign, Layer, Matrix};
use super::tokens::Names;
use super::weight::Weight;
use super::{COPIES, part_refusal};
use crate::export::exported::METADATA_KEY;
use crate::util::memory;
use crate::util::onnx::{Attribute, Graph, Model, Node, Tensor};

/// Where ONNX has our gates i, f, g, o.
const GATES: [usize; 4] = [0, 2, 3, 1];
/// Operators that only move numbers about, or take some of their rows; their first input is followed.
const MOVES: [&str; 10] = [
    "Cast",
    "Dropout",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];
/// Operators that look at sizes, or put states together to be given out.
const ASIDE: [&str; 3] = ["Concat", "Shape", "Size"];
/// Operators that may follow logits.
const AFTER: [&str; 4] = ["ArgMax", "LogSoftmax", "Softmax", "TopK"];

/// Reads a file; what it keeps in files of its own stands beside it.
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Foreign> {
    let model = Model::decode(bytes).context("it is no ONNX file, or damaged")?;
    let properties = &mut model.metadata_props.iter();
    let own = properties.find(|entry| entry.key == METADATA_KEY);
    let own = own.map(|entry| entry.value.clone());
    let metadata = model.metadata_props.into_iter();
    let metadata = metadata.map(|entry| (entry.key, Value::String(entry.value)));
    let vocabularies = Names::found(&Value::Object(metadata.collect()));
    let graph = model.graph.context("it is no ONNX file, or damaged")?;
    let reader = Reader::new(&graph, path);
    let (layers, head_of) = reader.layers()?;
    Foreign {
        embedding: reader.embedding()?,
        head: reader.head(head_of)?,
        layers,
        vocabularies,
        masks_first: false,
        own: None,
        notes: Vec::new(),
    }
    .checked()?
    .with_own(own.as_deref())
}

/// A graph, by the names of its values.
struct Reader<'g> {
    graph: &'g Graph,
    constants: Constants<'g>,
    producers: HashMap<&'g str, &'g Node>,
    /// Bytes that weights may still take.
    left: Cell<u64>,
}

fn attribute<'n>(node: &'n Node, name: &str) -> Option<&'n Attribute> {
    node.attribute.iter().find(|found| found.name == name)
}

fn input(node: &Node, at: usize) -> Option<&str> {
    let name = node.input.get(at)?;
    Some(name.as_str()).filter(|name| !name.is_empty())
}

fn is_zero(weight: &Weight) -> bool {
    weight.values.iter().all(|&value| value == 0.0)
}

/// What errors call a node.
fn shown(node: &Node) -> String {
    let name = if node.name.is_empty() {
        node.output.first()
    } else {
        Some(&node.name)
    };
    format!("the node {}", name.map_or("", |name| name))
}

impl<'g> Reader<'g> {
    fn new(graph: &'g Graph, path: &Path) -> Self {
        let initializers = graph.initializer.iter();
        let mut constants: HashMap<&str, &Tensor> = initializers
            .map(|tensor| (tensor.name.as_str(), tensor))
            .collect();
        let mut producers = HashMap::new();
        for node in &graph.node {
            let value = attribute(node, "value").and_then(|value| value.t.as_ref());
            for output in node.output.iter().filter(|output| !output.is_empty()) {
                match value {
                    Some(value) if node.op_type == "Constant" => {
                        constants.insert(output, value);
                    }
                    _ => {
                        producers.insert(output.as_str(), node);
                    }
                }
            }
        }
        Self {
            graph,
            constants: Constants::new(constants, path),
            producers,
            left: Cell::new(memory::available().bytes / COPIES),
        }
    }

    /// The nodes that a value goes to; those that only move it are passed.
    fn consumers(&self, value: &str) -> Vec<&'g Node> {
        let mut values = vec![value.to_owned()];
        let mut seen = HashSet::new();
        let mut found: Vec<&'g Node> = Vec::new();
        while let Some(value) = values.pop() {
            if !seen.insert(value.clone()) {
                continue;
            }
            for node in &self.graph.node {
                let Some(at) = node.input.iter().position(|input| *input == value) else {
                    continue;
                };
                if ASIDE.contains(&node.op_type.as_str()) || node.op_type == "LSTM" && at > 0 {
                    continue;
                }
                if MOVES.contains(&node.op_type.as_str()) {
                    if at == 0 {
                        values.extend(node.output.iter().cloned());
                    }
                } else if !found.iter().any(|other| std::ptr::eq::<Node>(*other, node)) {
                    found.push(node);
                }
            }
        }
        found
    }

    /// The layers in their order, and the node behind the last.
    fn layers(&self) -> Result<(Vec<Layer>, &'g Node)> {
        for node in &self.graph.node {
            let what = match node.op_type.as_str() {
                "GRU" => "a GRU",
                "RNN" => "a plain RNN",
                "Attention" | "MultiHeadAttention" => "attention",
                "BatchNormalization" => "batch normalization",
                "LayerNormalization" => "layer normalization",
                "Conv" => "a convolution",
                "Loop" | "Scan" | "If" => {
                    "a loop or branch, which an LSTM may hide in: export it as an LSTM node; it"
                }
                _ => continue,
            };
            return Err(part_refusal(&shown(node), what));
        }
        let mut node = self.first()?;
        let mut layers = Vec::new();
        loop {
            layers.push(self.layer(node)?);
            ensure!(
                layers.len() <= self.graph.node.len(),
                "its layers go in a circle"
            );
            // All h, or the last.
            let outputs = node
                .output
                .iter()
                .take(2)
                .filter(|output| !output.is_empty());
            let mut next: Vec<&Node> = Vec::new();
            for output in outputs {
                for consumer in self.consumers(output) {
                    if !next
                        .iter()
                        .any(|other| std::ptr::eq::<Node>(*other, consumer))
                    {
                        next.push(consumer);
                    }
                }
            }
            match &next[..] {
                [only] if only.op_type == "LSTM" => node = only,
                [only] if ["MatMul", "Gemm"].contains(&only.op_type.as_str()) => {
                    return Ok((layers, only));
                }
                [] => bail!("nothing follows {}: a linear layer should", shown(node)),
                all => {
                    let known = ["LSTM", "MatMul", "Gemm"];
                    let other = all
                        .iter()
                        .find(|node| !known.contains(&node.op_type.as_str()));
                    if let Some(other) = other {
                        return Err(part_refusal(
                            &shown(other),
                            &format!("{}, behind an LSTM", other.op_type),
                        ));
                    }
                    bail!(
                        "several layers take what {} gives: a charlet model has one after the other",
                        shown(node)
                    );
                }
            }
        }
    }

    /// The LSTM that no other feeds.
    fn first(&self) -> Result<&'g Node> {
        let lstms = self.graph.node.iter().filter(|node| node.op_type == "LSTM");
        let lstms: Vec<&Node> = lstms.collect();
        let has = |operator: &str| {
            let mut nodes = self.graph.node.iter();
            nodes.any(|node| node.op_type == operator)
        };
        ensure!(
            !(lstms.is_empty() && has("Sigmoid") && has("Tanh")),
            "it has no LSTM node, but Sigmoid and Tanh: an LSTM that is written out, as Keras exports one with PyTorch \
             or JAX: import the .keras file, or export it with KERAS_BACKEND=tensorflow"
        );
        ensure!(!lstms.is_empty(), "it has no LSTM node");
        for lstm in &lstms {
            if self
                .source(input(lstm, 0).unwrap_or(""))?
                .is_none_or(|source| source.op_type != "LSTM")
            {
                return Ok(lstm);
            }
        }
        bail!("its layers go in a circle")
    }

    /// The node that a value comes from, moves passed; `None` for what is fed.
    fn source(&self, value: &str) -> Result<Option<&'g Node>> {
        let mut value = value;
        for _ in 0..=self.graph.node.len() {
            let Some(&node) = self.producers.get(value) else {
                return Ok(None);
            };
            let is_lookup = node.op_type == "Gather"
                && input(node, 0).is_some_and(|data| self.constants.has(data));
            if is_lookup || !MOVES.contains(&node.op_type.as_str()) {
                return Ok(Some(node));
            }
            value = input(node, 0).context("a node has no input")?;
        }
        bail!("its nodes go in a circle")
    }

    /// What is looked up for a token, if it isn't a vector with a single 1.
    fn embedding(&self) -> Result<Option<Matrix>> {
        let first = self.first()?;
        let Some(source) = self.source(input(first, 0).unwrap_or(""))? else {
            return Ok(None);
        };
        let of = |at| input(source, at).map_or(Ok(None), |name| self.constant(name));
        // Which token is meant is said by what is fed, not by what is computed of it.
        let index = match source.op_type.as_str() {
            "Gather" => input(source, 1),
            "Equal" if of(0)?.is_some() => input(source, 1),
            _ => input(source, 0),
        };
        let index = index.unwrap_or("");
        let embedding = match source.op_type.as_str() {
            "OneHot" => Ok(None),
            // With each of all numbers.
            "Equal" if of(0)?.is_some() || of(1)?.is_some() => Ok(None),
            "Gather" => of(0)?
                .context("the embedding is missing")?
                .matrix()
                .map(Some),
            operator => Err(part_refusal(
                &shown(source),
                &format!("{operator}, before the first LSTM"),
            )),
        }?;
        if let Some(before) = self.source(index)? {
            let rows = embedding.as_ref().map(|embedding| embedding.rows);
            if !rows.is_some_and(|rows| index::is_token(self, index, rows)) {
                let what = format!("{}, before the embedding", before.op_type);
                return Err(part_refusal(&shown(before), &what));
            }
        }
        Ok(embedding)
    }

    /// Whether a start state is fed, or zeros in whatever size.
    fn is_zero_or_fed(&self, state: &str) -> Result<bool> {
        let mut value = state;
        for _ in 0..=self.graph.node.len() {
            if let Some(constant) = self.constants.weight(value)? {
                return Ok(is_zero(&constant));
            }
            let node = self.producers.get(value);
            let from = node
                .filter(|node| node.op_type == "Expand" || MOVES.contains(&node.op_type.as_str()));
            match from.and_then(|node| input(node, 0)) {
                Some(from) => value = from,
                None => return Ok(true),
            }
        }
        bail!("its nodes go in a circle")
    }

    fn layer(&self, node: &Node) -> Result<Layer> {
        let name = shown(node);
        let refuse = |what: &str| Err(part_refusal(&name, what));
        let text = |key: &str| {
            let text = attribute(node, key).and_then(|found| found.s.as_deref());
            text.map(String::from_utf8_lossy)
        };
        match text("direction").as_deref() {
            None | Some("forward") => {}
            Some("bidirectional") => return refuse("a bidirectional LSTM"),
            Some(_) => return refuse("an LSTM that runs backwards"),
        }
        if let Some(activations) = attribute(node, "activations") {
            let names = activations.strings.iter();
            let names: Vec<_> = names.map(|name| String::from_utf8_lossy(name)).collect();
            if names != ["Sigmoid", "Tanh", "Tanh"] {
                return refuse(&format!(
                    "an LSTM with other activations ({})",
                    names.join(", ")
                ));
            }
        }
        if attribute(node, "clip").is_some() {
            return refuse("an LSTM whose sums are clipped");
        }
        if attribute(node, "input_forget").is_some_and(|found| found.i.unwrap_or(0) != 0) {
            return refuse("an LSTM with coupled input and forget gates");
        }
        let constant = |at: usize| -> Result<Option<Weight>> {
            let Some(name) = input(node, at) else {
                return Ok(None);
            };
            self.constant(name)
        };
        if input(node, 7).is_some() && !constant(7)?.is_some_and(|peepholes| is_zero(&peepholes)) {
            return refuse("an LSTM with peepholes");
        }
        for at in [5, 6] {
            if !input(node, at).map_or(Ok(true), |state| self.is_zero_or_fed(state))? {
                return refuse("an LSTM with a start state that isn't 0");
            }
        }
        let matrix = |at: usize| -> Result<Matrix> {
            let weight =
                constant(at)?.with_context(|| format!("the weights of {name} are computed"))?;
            let weight = weight.without_first()?;
            let matrix = weight.matrix()?;
            ensure!(matrix.rows % 4 == 0, "{} is {:?}", weight.name, weight.dims);
            Ok(matrix.with_gates(GATES))
        };
        let (weight_ih, weight_hh) = (matrix(1)?, matrix(2)?);
        let rows = weight_hh.rows;
        let bias = match constant(3)? {
            Some(bias) => {
                let bias = bias.without_first()?;
                let (of_x, of_h) = bias.vector(2 * rows)?.split_at(rows);
                let both = of_x.iter().zip(of_h);
                let sums = both.map(|(&x, &h)| (f64::from(x) + f64::from(h)) as f32);
                Matrix::new(rows, 1, sums.collect())?
                    .with_gates(GATES)
                    .into_values()
            }
            None if input(node, 3).is_some() => bail!("the biases of {name} are computed"),
            None => vec![0.0; rows],
        };
        Ok(Layer {
            weight_ih,
            weight_hh,
            bias,
        })
    }

    /// The linear layer that this node begins.
    fn head(&self, node: &'g Node) -> Result<Dense> {
        let name = shown(node);
        let weight = input(node, 1).map_or(Ok(None), |weight| self.constant(weight))?;
        let weight = weight.with_context(|| format!("the weights of {name} are computed"))?;
        let mut weight = weight.matrix()?;
        let is = |key: &str| attribute(node, key).is_some_and(|found| found.i.unwrap_or(0) != 0);
        let one = |key: &str| attribute(node, key).is_none_or(|found| found.f == Some(1.0));
        let is_gemm = node.op_type == "Gemm";
        if is_gemm && !(one("alpha") && one("beta")) || is("transA") {
            return Err(part_refusal(&name, "a linear layer with factors"));
        }
        if !(is_gemm && is("transB")) {
            weight = weight.transposed();
        }
        let mut bias = vec![0.0; weight.rows];
        if let Some(name) = input(node, 2).filter(|_| is_gemm) {
            let found = self
                .constant(name)?
                .context("the bias of the head is computed")?;
            bias = found.vector(weight.rows)?.to_vec();
        }
        let mut output = node.output.first().context("a node has no output")?;
        loop {
            let next = self.consumers(output);
            match &next[..] {
                [] => break,
                [add] if add.op_type == "Add" && bias.iter().all(|&value| value == 0.0) => {
                    let names = [0, 1]
                        .map(|at| input(add, at).map_or(Ok(None), |name| self.constant(name)));
                    let [one, other] = names;
                    let found = one?.or(other?);
                    let found =
                        found.with_context(|| format!("what {} adds is computed", shown(add)))?;
                    bias = found.vector(weight.rows)?.to_vec();
                    output = add.output.first().context("a node has no output")?;
                }
                all => {
                    let other = all
                        .iter()
                        .find(|node| !AFTER.contains(&node.op_type.as_str()));
                    match other {
                        None => break,
                        Some(other) => {
                            return Err(part_refusal(
                                &shown(other),
                                &format!("{}, behind the first linear layer", other.op_type),
                            ));
                        }
                    }
                }
            }
        }
        Ok(Dense { weight, bias })
    }
}
