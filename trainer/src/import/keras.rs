//! Networks of Keras: `.keras` archives, and HDF5 files with or without the layers' settings.
//!
//! Keras has kernels of `[inputs, 4 units]`. Their gates i, f, c, o stand in our order; our g is its c.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use hdf5_pure::{DType, Datatype, DatatypeByteOrder, File, Group};
use serde_json::Value;

use super::foreign::{Dense, Foreign, Layer};
use super::names::{Mapping, Natural, Part, listed};
use super::tokens::Names;
use super::weight::{Weight, floats};
use super::{archive, part_refusal, refusal, unpacked, weight_limit};

/// Names of the files in a `.keras` archive.
const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.weights.h5";
/// The largest settings.
const MAX_CONFIG: u64 = 16 << 20;
/// How deeply groups and models may be nested, and how many groups there may be.
const MAX_DEPTH: usize = 16;
const MAX_GROUPS: usize = 10_000;

/// Layers that do nothing when a network is used, or nothing that a logit's rank depends on.
const IDLE: [&str; 8] = [
    "ActivityRegularization",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "InputLayer",
    "Masking",
    "Softmax",
    "SpatialDropout1D",
];

/// Reads a `.keras` archive.
pub(super) fn from_archive(bytes: &[u8], mapping: &Mapping) -> Result<Foreign> {
    let mut archive = archive(bytes)?;
    let config = unpacked(&mut archive, CONFIG, MAX_CONFIG)?;
    let config =
        serde_json::from_slice(&config).with_context(|| format!("{CONFIG} in it is damaged"))?;
    // Weights aren't compressed much, if at all.
    let limit = 64 * bytes.len() as u64;
    let weights = unpacked(&mut archive, WEIGHTS, limit)?;
    read(&weights, Some(config), mapping)
}

/// Reads an HDF5 file.
pub(super) fn from_hdf5(bytes: &[u8], mapping: &Mapping) -> Result<Foreign> {
    read(bytes, None, mapping)
}

fn read(bytes: &[u8], config: Option<Value>, mapping: &Mapping) -> Result<Foreign> {
    let file = File::from_bytes(bytes.to_vec()).context("its HDF5 file is damaged")?;
    let mut containers = Containers {
        left: weight_limit(bytes.len()),
        ..Containers::default()
    };
    containers.collect(&file.root(), "", 0)?;
    let config = match config {
        Some(config) => Some(config),
        None => match text(&file.root(), "model_config")? {
            Some(config) => {
                Some(serde_json::from_str(&config).context("its model_config is damaged")?)
            }
            None => None,
        },
    };
    drop(file);
    let weights = || {
        containers
            .parts
            .values()
            .flat_map(|part| part.weights.values())
    };
    mapping.check(weights().map(|weight| weight.name.as_str()))?;
    containers.parts.retain(|_, part| {
        let mut weights = part.weights.values();
        !weights.any(|weight| mapping.place(Part::Ignore, &weight.name).is_some())
    });
    match config {
        Some(config) => configured(containers, &config),
        None => unconfigured(containers),
    }
}

/// A text beside a group.
fn text(group: &Group, name: &str) -> Result<Option<String>> {
    let attributes = group.attrs().context("its HDF5 file is damaged")?;
    Ok(attributes
        .get(name)
        .and_then(|value| value.as_str().map(ToString::to_string)))
}

/// The weights of a layer.
#[derive(Default)]
struct Container {
    /// The layer's own name, if it isn't that of the group.
    name: Option<String>,
    /// By the last part of their names.
    weights: BTreeMap<String, Weight>,
}

/// The weights of all layers, by the groups that they are in.
#[derive(Default)]
struct Containers {
    parts: BTreeMap<Natural, Container>,
    groups: usize,
    /// Bytes that weights may still take.
    left: u64,
}

/// The type of a data set's numbers, if they have fractions.
fn float(dtype: &DType) -> Option<candle_core::DType> {
    match dtype {
        DType::F32 => Some(candle_core::DType::F32),
        DType::F64 => Some(candle_core::DType::F64),
        // The library has no name for half precision.
        DType::Other(other) => match **other {
            Datatype::FloatingPoint {
                size: 2,
                byte_order: DatatypeByteOrder::LittleEndian,
                layout,
            } => match layout.mantissa_size {
                10 => Some(candle_core::DType::F16),
                7 => Some(candle_core::DType::BF16),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Which layer a weight's group belongs to: what stands before `vars`, or the first name.
fn layer_of(path: &str) -> String {
    let path = path.trim_start_matches('/');
    if let Some(before) = path.strip_suffix("/vars") {
        let before = before.strip_suffix("/cell").unwrap_or(before);
        return before.strip_suffix("/layer").unwrap_or(before).to_owned();
    }
    let path = path.strip_prefix("model_weights/").unwrap_or(path);
    let is_directed = |part: &&str| part.starts_with("forward_") || part.starts_with("backward_");
    let direction = path.split('/').find(is_directed);
    let first = path.split('/').next().unwrap_or(path);
    match direction {
        Some(direction) => format!("{first}/{direction}"),
        None => first.to_owned(),
    }
}

impl Containers {
    fn collect(&mut self, group: &Group, path: &str, depth: usize) -> Result<()> {
        self.groups += 1;
        ensure!(
            depth <= MAX_DEPTH && self.groups <= MAX_GROUPS,
            "its HDF5 file has too many groups"
        );
        let damaged = || format!("{path}/ in its HDF5 file is damaged");
        for (name, data) in group.iter_datasets().with_context(damaged)? {
            let name = name.trim_end_matches(":0").to_owned();
            // Others count steps or seed random numbers.
            let Some(dtype) = float(&data.dtype().with_context(damaged)?) else {
                continue;
            };
            let full = format!("{path}/{name}").trim_start_matches('/').to_owned();
            let shape = data.shape().with_context(damaged)?;
            let chunk = data.chunk_shape().with_context(damaged)?;
            self.count(&shape, chunk.as_ref().unwrap_or(&shape))
                .with_context(|| {
                    format!(
                        "{full} {shape:?} is too large for its file or for memory: is it damaged?"
                    )
                })?;
            let dims = shape.iter().map(|&dim| Ok(usize::try_from(dim)?));
            let dims = dims.collect::<Result<Vec<usize>>>()?;
            let values = match dtype {
                candle_core::DType::F16 | candle_core::DType::BF16 => {
                    let bytes = data.read_raw().with_context(damaged)?;
                    floats(&bytes, dtype, dims.iter().product())?.unwrap_or_default()
                }
                _ => data.read_f32().with_context(damaged)?,
            };
            let weight = Weight {
                name: full,
                dims,
                values,
                unreadable: None,
            };
            let part = self.parts.entry(Natural::of(&layer_of(path))).or_default();
            part.weights.insert(name, weight);
        }
        for (name, inner) in group.iter_groups().with_context(damaged)? {
            if name.starts_with("optimizer") {
                continue;
            }
            let inside = format!("{path}/{name}");
            if name == "vars" {
                let layer = Natural::of(&layer_of(&inside));
                let own = text(&inner, "name")?;
                // A cell's name comes before its layer's or after it.
                if !path.ends_with("/cell") && own.is_some() {
                    self.parts.entry(layer).or_default().name = own;
                }
            }
            self.collect(&inner, &inside, depth + 1)?;
        }
        Ok(())
    }

    /// Counts what a weight will take, which the library allocates at once; `None` if it is too much. A part of one,
    /// as it is compressed, may be larger than the whole.
    fn count(&mut self, shape: &[u64], chunk: &[u64]) -> Option<()> {
        let bytes = |dims: &[u64]| {
            let size = size_of::<f32>() as u64;
            dims.iter().try_fold(size, |all, &dim| all.checked_mul(dim))
        };
        self.left.checked_sub(bytes(chunk)?)?;
        self.left = self.left.checked_sub(bytes(shape)?)?;
        Some(())
    }

    /// Takes the weights of a layer by its name in the settings.
    fn take(&mut self, name: &str, class: &str) -> Result<Container> {
        let has_name = |(_, part): &(&Natural, &Container)| part.name.as_deref() == Some(name);
        let by_name = self.parts.iter().find(has_name).map(|(key, _)| key.clone());
        let key = by_name.unwrap_or_else(|| Natural::of(name));
        let part = self.parts.remove(&key);
        part.filter(|part| !part.weights.is_empty())
            .with_context(|| format!("it lacks the weights of its layer {name} ({class})"))
    }
}

impl Container {
    /// The weight of this many dimensions, in the order of names.
    fn weight(&self, dimensions: usize, at: usize) -> Option<&Weight> {
        let weights = self.weights.values();
        weights
            .filter(|weight| weight.dims.len() == dimensions)
            .nth(at)
    }

    fn first_name(&self) -> &str {
        self.weights
            .values()
            .next()
            .map_or("it", |weight| &weight.name)
    }

    fn lstm(&self) -> Result<Layer> {
        let name = self.first_name();
        let lacks = || format!("{name} belongs to an LSTM layer that lacks weights");
        let kernel = self.weight(2, 0).with_context(lacks)?.matrix()?;
        let recurrent = self.weight(2, 1).with_context(lacks)?;
        let recurrent_kernel = recurrent.matrix()?.transposed();
        let rows = recurrent_kernel.rows;
        let bias = match self.weight(1, 0) {
            Some(bias) => bias.vector(rows)?.to_vec(),
            None => vec![0.0; rows],
        };
        Ok(Layer {
            weight_ih: kernel.transposed(),
            weight_hh: recurrent_kernel,
            bias,
        })
    }

    fn dense(&self) -> Result<Dense> {
        let kernel = self.weight(2, 0);
        let kernel = kernel.with_context(|| format!("{} has no kernel", self.first_name()))?;
        let weight = kernel.matrix()?.transposed();
        let bias = match self.weight(1, 0) {
            Some(bias) => bias.vector(weight.rows)?.to_vec(),
            None => vec![0.0; weight.rows],
        };
        Ok(Dense { weight, bias })
    }
}

/// A layer of the settings.
struct Setting<'c> {
    class: &'c str,
    name: &'c str,
    config: &'c Value,
}

/// The layers of a model, those of models in it in their place.
fn flatten<'c>(config: &'c Value, depth: usize, found: &mut Vec<Setting<'c>>) -> Result<()> {
    ensure!(depth <= MAX_DEPTH, "its models are nested too deeply");
    let class = config["class_name"].as_str().unwrap_or("");
    let inner = &config["config"];
    // Old files have the list itself.
    let layers = inner.as_array().or_else(|| inner["layers"].as_array());
    if let Some(layers) = layers {
        return layers
            .iter()
            .try_for_each(|layer| flatten(layer, depth + 1, found));
    }
    let name = inner["name"].as_str().or(config["name"].as_str());
    found.push(Setting {
        class,
        name: name.unwrap_or(class),
        config: inner,
    });
    Ok(())
}

impl Setting<'_> {
    fn text(&self, key: &str) -> &str {
        let value = &self.config[key];
        // An object that is a function has a name in it.
        let value = value
            .as_str()
            .or(value["config"].as_str())
            .or(value["class_name"].as_str());
        value.unwrap_or("")
    }

    fn is(&self, key: &str) -> bool {
        self.config[key].as_bool().unwrap_or(false)
    }

    fn refuse(&self, what: &str) -> Result<()> {
        Err(part_refusal(&format!("its layer {}", self.name), what))
    }

    fn check_lstm(&self) -> Result<()> {
        let (activation, recurrent) = (self.text("activation"), self.text("recurrent_activation"));
        if !["tanh", ""].contains(&activation) || !["sigmoid", ""].contains(&recurrent) {
            let what = format!("an LSTM with other activations ({activation}, {recurrent})");
            return self.refuse(&what);
        }
        if self.is("go_backwards") {
            return self.refuse("an LSTM that runs backwards");
        }
        Ok(())
    }

    /// Characters of a window that it was trained on, if that is known.
    fn window(&self) -> Option<u64> {
        let shape = ["batch_shape", "batch_input_shape"];
        shape
            .iter()
            .find_map(|key| self.config[*key].get(1)?.as_u64())
    }
}

/// The network that the settings describe.
fn configured(mut containers: Containers, config: &Value) -> Result<Foreign> {
    let mut settings = Vec::new();
    flatten(config, 0, &mut settings)?;
    let (mut embedding, mut layers, mut head) = (None, Vec::new(), None);
    let (mut vocabularies, mut notes) = (Vec::new(), Vec::new());
    let mut masks_first = false;
    let window = settings.iter().find_map(Setting::window);
    for setting in &settings {
        let is_after_head = head.is_some();
        let class = setting.class;
        match class {
            _ if IDLE.contains(&class) => {}
            "Activation"
                if is_after_head && ["softmax", "linear"].contains(&setting.text("activation")) => {
            }
            "TextVectorization" | "StringLookup" => {
                vocabularies.extend(Names::found(setting.config));
            }
            "Embedding" if layers.is_empty() && embedding.is_none() => {
                let part = containers.take(setting.name, class)?;
                let weight = part.weight(2, 0).context("its embedding has no weights")?;
                embedding = Some(weight.matrix()?);
                masks_first = setting.is("mask_zero");
            }
            "LSTM" if !is_after_head => {
                setting.check_lstm()?;
                layers.push(containers.take(setting.name, class)?.lstm()?);
                if !setting.is("return_sequences") {
                    let of =
                        window.map_or(String::new(), |window| format!(" of {window} characters"));
                    notes.push(format!(
                        "it was trained to continue windows{of} (return_sequences=False); charlet carries h and c \
                         through the whole text, as --check does: what that costs, a comparison with Keras tells"
                    ));
                }
            }
            "Dense" | "TimeDistributed" if !layers.is_empty() && !is_after_head => {
                let inner = &setting.config["layer"];
                let of = match class {
                    "Dense" => Setting { ..*setting },
                    _ => Setting {
                        class: inner["class_name"].as_str().unwrap_or(""),
                        name: setting.name,
                        config: &inner["config"],
                    },
                };
                if of.class != "Dense" {
                    setting.refuse(&format!("TimeDistributed around {}", of.class))?;
                }
                let activation = of.text("activation");
                if !["softmax", "linear", ""].contains(&activation) {
                    setting.refuse(&format!("a Dense layer with the activation {activation}"))?;
                }
                head = Some(containers.take(setting.name, class)?.dense()?);
            }
            "GRU" | "CuDNNGRU" => setting.refuse("a GRU")?,
            "SimpleRNN" => setting.refuse("a plain RNN (SimpleRNN)")?,
            "RNN" => {
                let cell = setting.config["cell"]["class_name"].as_str().unwrap_or("");
                setting.refuse(&format!("an RNN of cells {cell}"))?;
            }
            "Bidirectional" => setting.refuse("a bidirectional LSTM")?,
            "BatchNormalization" => setting.refuse("batch normalization")?,
            "LayerNormalization" => setting.refuse("layer normalization")?,
            "Attention" | "AdditiveAttention" | "MultiHeadAttention" => {
                setting.refuse("attention")?
            }
            "Conv1D" => setting.refuse("a convolution")?,
            _ => setting.refuse(&format!("{class} in this place"))?,
        }
    }
    ensure!(!layers.is_empty(), "it has no LSTM layer");
    let head = head.context("it has no Dense layer behind its LSTM")?;
    Foreign {
        embedding,
        layers,
        head,
        vocabularies,
        masks_first,
        own: None,
        notes,
    }
    .checked()
}

/// The network that weights alone tell of.
fn unconfigured(containers: Containers) -> Result<Foreign> {
    let (mut embeddings, mut layers, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    for part in containers
        .parts
        .values()
        .filter(|part| !part.weights.is_empty())
    {
        let name = part.first_name();
        if ["forward", "backward", "bidirectional"]
            .iter()
            .any(|word| name.contains(word))
        {
            return Err(refusal(name, "a bidirectional LSTM"));
        }
        match (part.weight(2, 0), part.weight(2, 1), part.weight(1, 0)) {
            (Some(_), Some(recurrent), _) => {
                let &[units, columns] = &recurrent.dims[..] else {
                    bail!("{} is {:?}", recurrent.name, recurrent.dims);
                };
                match columns {
                    _ if columns == units => return Err(refusal(name, "a plain RNN (SimpleRNN)")),
                    _ if Some(columns) == units.checked_mul(3) => {
                        return Err(refusal(name, "a GRU"));
                    }
                    _ => layers.push(part.lstm()?),
                }
            }
            (Some(_), None, Some(_)) => heads.push(part),
            (Some(kernel), None, None) if kernel.name.contains("embedding") => {
                embeddings.push(kernel)
            }
            (Some(_), None, None) => heads.push(part),
            _ => return Err(refusal(name, "a layer that isn't known")),
        }
    }
    let names = || {
        let weights = containers
            .parts
            .values()
            .flat_map(|part| part.weights.values());
        listed(weights.map(|weight| weight.name.as_str()))
    };
    ensure!(
        !layers.is_empty(),
        "it has no weights of an LSTM layer, but {}",
        names()
    );
    let (&[head], [] | [_]) = (&heads[..], &embeddings[..]) else {
        bail!(
            "it should have one Dense layer and one Embedding at most, and has {}: --map ignore=NAME leaves out \
             what isn't used",
            names()
        );
    };
    let embedding = embeddings
        .first()
        .map(|weight| weight.matrix())
        .transpose()?;
    Foreign {
        embedding,
        layers,
        head: head.dense()?,
        vocabularies: Vec::new(),
        masks_first: false,
        own: None,
        notes: vec![
            "it has weights alone: its activations are taken for tanh, sigmoid and softmax"
                .to_owned(),
        ],
    }
    .checked()
}
