//! To an ONNX file: a step or many, with the state as inputs and outputs.

use anyhow::Result;
use prost::Message;

use super::exported::{Exported, METADATA_KEY};
use super::model_file::Matrix;
use crate::util::onnx::{
    Attribute, Dimension, Graph, Model, Node, OperatorSet, Property, Size, Tensor, TensorShape,
    TensorType, Type, ValueInfo, attribute_kind, data_type,
};

/// How the files begin that we write: the format's version, and who wrote it.
pub const BEGINNING: &[u8] = b"\x08\x08\x12\x07charlet";

/// The version of the format, and that of its operators: all that run `LSTM`, and `Squeeze` with axes as an
/// input, in ONNX Runtime since 1.12.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// ONNX has the gates in the order i, o, f, c; these are their places in i, f, g, o.
const GATES: [usize; 4] = [0, 3, 1, 2];

/// The sizes that are free, by name: of a text, and of texts side by side.
const STEPS: &str = "steps";
const BATCH: &str = "batch";

/// The bytes of an ONNX file.
///
/// Its inputs are `token`, `[steps, batch]`, and the state `h` and `c`, both `[layers, batch, hidden_size]`; its
/// outputs `logits`, `[steps, batch, vocab_size]`, and the next state, `h_out` and `c_out`.
///
/// # Errors
/// None that is known.
pub fn onnx_file(exported: &Exported) -> Result<Vec<u8>> {
    let model = Model {
        ir_version: Some(IR_VERSION),
        producer_name: "charlet".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph(exported)),
        opset_import: vec![OperatorSet {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        metadata_props: vec![Property {
            key: METADATA_KEY.to_owned(),
            value: exported.metadata()?,
        }],
    };
    Ok(model.encode_to_vec())
}

fn graph(exported: &Exported) -> Graph {
    let mut graph = Graph {
        name: "charlet".to_owned(),
        ..Graph::default()
    };
    let shape = exported.shape();
    let [layers, hidden, vocab] =
        [shape.num_layers, shape.hidden_size, shape.vocab_size].map(|size| fixed(size as i64));
    let tokens = [named(STEPS), named(BATCH)];
    let state = [layers, named(BATCH), hidden];
    graph.input = vec![
        value("token", data_type::INT64, &tokens),
        value("h", data_type::FLOAT, &state),
        value("c", data_type::FLOAT, &state),
    ];
    graph.output = vec![
        value(
            "logits",
            data_type::FLOAT,
            &[named(STEPS), named(BATCH), vocab],
        ),
        value("h_out", data_type::FLOAT, &state),
        value("c_out", data_type::FLOAT, &state),
    ];

    let mut x = "x".to_owned();
    if let Some(embedding) = &exported.embedding {
        graph.add("embedding", embedding.dims(), embedding.values());
        graph.node("Gather", &["embedding", "token"], &[&x], None);
    } else {
        graph.add_whole("depth", &[shape.vocab_size as i64], &[]);
        graph.add("off_on", vec![2], &[0.0, 1.0]);
        graph.node("OneHot", &["token", "depth", "off_on"], &[&x], None);
    }
    graph.add_whole("direction", &[1], &[1]);
    // One state for all layers, as PyTorch has it.
    let is_deep = shape.num_layers > 1;
    let of_layer = |name: &str, layer| {
        if is_deep {
            format!("{name}_l{layer}")
        } else {
            name.to_owned()
        }
    };
    let of_layers = |name: &str| -> Vec<String> {
        let layers = 0..shape.num_layers;
        layers.map(|layer| of_layer(name, layer)).collect()
    };
    if is_deep {
        for name in ["h", "c"] {
            graph.node("Split", &[name], &of_layers(name), Some(whole("axis", 0)));
        }
    }
    for (layer, [weight_ih, weight_hh, bias]) in exported.layers.iter().enumerate() {
        let [w, r, b] = ["W", "R", "B"].map(|name| format!("{name}_l{layer}"));
        let mut both_biases = in_order(bias);
        both_biases.resize(2 * both_biases.len(), 0.0);
        graph.add(
            &w,
            [vec![1], weight_ih.dims()].concat(),
            &in_order(weight_ih),
        );
        graph.add(
            &r,
            [vec![1], weight_hh.dims()].concat(),
            &in_order(weight_hh),
        );
        graph.add(&b, vec![1, both_biases.len() as i64], &both_biases);
        let [h, c, h_out, c_out] = ["h", "c", "h_out", "c_out"].map(|name| of_layer(name, layer));
        let y = format!("y_l{layer}");
        graph.node(
            "LSTM",
            &[&x, &w, &r, &b, "", &h, &c],
            &[&y, &h_out, &c_out],
            Some(whole("hidden_size", shape.hidden_size as i64)),
        );
        x = format!("x_l{}", layer + 1);
        graph.node("Squeeze", &[&y, "direction"], &[&x], None);
    }
    if is_deep {
        for name in ["h_out", "c_out"] {
            graph.node("Concat", &of_layers(name), &[name], Some(whole("axis", 0)));
        }
    }
    let head = &exported.head;
    let transposed: Vec<f32> = (0..head.columns)
        .flat_map(|column| (0..shape.vocab_size).map(move |token| head.at(token, column)))
        .collect();
    let dims = vec![head.columns as i64, shape.vocab_size as i64];
    graph.add("head", dims, &transposed);
    let bias = exported.head_bias.values();
    graph.add("head_bias", vec![bias.len() as i64], bias);
    graph.node("MatMul", &[&x, "head"], &["products"], None);
    graph.node("Add", &["products", "head_bias"], &["logits"], None);
    graph
}

/// The rows of a layer's matrix with ONNX's gates.
fn in_order(matrix: &Matrix) -> Vec<f32> {
    let gates = matrix.values().len() / GATES.len();
    let gates = GATES.map(|gate| &matrix.values()[gate * gates..][..gates]);
    gates.concat()
}

impl Matrix {
    fn dims(&self) -> Vec<i64> {
        let rows = self.values().len() / self.columns;
        vec![rows as i64, self.columns as i64]
    }
}

impl Graph {
    /// Adds weights.
    fn add(&mut self, name: &str, dims: Vec<i64>, values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.add_tensor(name, data_type::FLOAT, dims, bytes.collect());
    }

    /// Adds whole numbers; without dimensions a single one.
    fn add_whole(&mut self, name: &str, values: &[i64], dims: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.add_tensor(name, data_type::INT64, dims.to_vec(), bytes.collect());
    }

    fn add_tensor(&mut self, name: &str, data_type: i32, dims: Vec<i64>, raw_data: Vec<u8>) {
        self.initializer.push(Tensor {
            name: name.to_owned(),
            data_type,
            dims,
            raw_data,
            ..Tensor::default()
        });
    }

    /// Adds an operation, whose name is that of its first output.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[impl AsRef<str>],
        outputs: &[impl AsRef<str>],
        attribute: Option<Attribute>,
    ) {
        let input: Vec<String> = inputs.iter().map(|name| name.as_ref().to_owned()).collect();
        let output: Vec<String> = outputs
            .iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        self.node.push(Node {
            name: output.first().cloned().unwrap_or_default(),
            input,
            output,
            op_type: operator.to_owned(),
            attribute: attribute.into_iter().collect(),
            ..Node::default()
        });
    }
}

/// A whole number as a setting.
fn whole(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: Some(value),
        kind: attribute_kind::INT,
        ..Attribute::default()
    }
}

fn fixed(size: i64) -> Dimension {
    Dimension {
        size: Some(Size::Value(size)),
    }
}

fn named(size: &str) -> Dimension {
    Dimension {
        size: Some(Size::Name(size.to_owned())),
    }
}

/// An input or output of the graph.
fn value(name: &str, elem_type: i32, dims: &[Dimension]) -> ValueInfo {
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type,
                shape: Some(TensorShape { dim: dims.to_vec() }),
            }),
        }),
    }
}
