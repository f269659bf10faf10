//! Networks of PyTorch: `nn.LSTM` or `nn.LSTMCell`, found by the names and shapes of their weights.
//!
//! The gates of PyTorch stand in our order, i, f, g, o.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use candle_core::DType;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::foreign::{Dense, Foreign, Layer, Matrix};
use super::names::{Mapping, Natural, Part, listed};
use super::tokens::Names;
use super::weight::{Weight, floats};
use super::{pickle, refusal};
use crate::export::exported::METADATA_KEY;

/// What the names of embeddings have in them.
const EMBEDDINGS: [&str; 3] = ["emb", "wte", "lookup"];

/// Reads a safetensors file.
pub(super) fn from_safetensors(bytes: &[u8], mapping: &Mapping) -> Result<Foreign> {
    let (_, header) = SafeTensors::read_metadata(bytes).context("it is damaged")?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let own = metadata.get(METADATA_KEY).cloned();
    let metadata = metadata.into_iter();
    let metadata = metadata.map(|(key, value)| (key, Value::String(value)));
    let file = SafeTensors::deserialize(bytes).context("it is damaged")?;
    let mut weights = Vec::new();
    for (name, view) in file.iter() {
        let dims = view.shape().to_vec();
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            _ => DType::U8,
        };
        let values = floats(view.data(), dtype, dims.iter().product())
            .with_context(|| format!("{name} is damaged"))?;
        weights.push(Weight {
            name: name.to_owned(),
            dims,
            values: values.unwrap_or_default(),
            unreadable: unreadable(view.dtype()),
        });
    }
    // A hash map has no order.
    weights.sort_by_key(|weight| Natural::of(&weight.name));
    assemble(
        weights,
        false,
        Names::found(&Value::Object(metadata.collect())),
        mapping,
    )?
    .with_own(own.as_deref())
}

/// Why numbers of this type can't be read; whole ones are no weights, and needn't be.
fn unreadable(dtype: Dtype) -> Option<String> {
    let name = format!("{dtype:?}");
    let is_read = matches!(dtype, Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::BF16);
    let has_fractions = name.starts_with(['F', 'C']);
    (has_fractions && !is_read)
        .then(|| format!("has numbers of the type {name}: save it with .to(torch.float32)"))
}

/// Reads what `torch.save` has written.
pub(super) fn from_pickle(bytes: &[u8], mapping: &Mapping) -> Result<Foreign> {
    let saved = pickle::read(bytes)?;
    assemble(saved.weights, true, Names::found(&saved.others), mapping)
}

/// The weights of a layer.
#[derive(Default)]
struct Cell {
    weight_ih: Option<Weight>,
    weight_hh: Option<Weight>,
    biases: Vec<Weight>,
}

impl Cell {
    fn first_name(&self) -> &str {
        let weights = self.weight_ih.iter().chain(&self.weight_hh);
        let mut weights = weights.chain(&self.biases);
        weights.next().map_or("it", |weight| &weight.name)
    }
}

/// Which weight of a layer a name means.
enum Role {
    WeightIh,
    WeightHh,
    Bias,
}

/// What the end of a name says: the role, the layer, and the rest.
fn role(name: &str) -> Option<(Role, usize, &str)> {
    let at = name.rfind('.').map_or(0, |at| at + 1);
    let (role, rest) = [
        ("weight_ih", Role::WeightIh),
        ("weight_hh", Role::WeightHh),
        ("bias_ih", Role::Bias),
        ("bias_hh", Role::Bias),
    ]
    .into_iter()
    .find_map(|(begin, role)| Some((role, name[at..].strip_prefix(begin)?)))?;
    if rest.is_empty() {
        return Some((role, 0, ""));
    }
    let digits = rest.strip_prefix("_l")?;
    let end = digits.find(|char: char| !char.is_ascii_digit());
    let (layer, rest) = digits.split_at(end.unwrap_or(digits.len()));
    Some((role, layer.parse().ok()?, rest))
}

/// The LSTM modules in their order: the user's, else that of their numbers, else that of the file if it keeps one.
fn ordered(modules: &mut [(usize, String)], is_ordered: bool) -> Result<()> {
    let natural = |module: &(usize, String)| Natural::of(&module.1);
    modules.sort_by_key(|module| module.0);
    for same in modules.chunk_by_mut(|one, other| one.0 == other.0) {
        let first = natural(&same[0]);
        if let Some(other) = same
            .iter()
            .find(|other| !natural(other).is_counted_with(&first))
        {
            ensure!(
                is_ordered,
                "{} and {} are LSTM layers, and the file doesn't say which comes first: list them in their order \
                 with --map lstm=FIRST --map lstm=SECOND",
                same[0].1,
                other.1
            );
        } else {
            same.sort_by_key(natural);
        }
    }
    Ok(())
}

/// Puts a network together; `is_ordered` says whether the weights stand in the order that their program gave them.
fn assemble(
    weights: Vec<Weight>,
    is_ordered: bool,
    vocabularies: Vec<(String, Names)>,
    mapping: &Mapping,
) -> Result<Foreign> {
    mapping.check(weights.iter().map(|weight| weight.name.as_str()))?;
    let all: Vec<String> = weights.iter().map(|weight| weight.name.clone()).collect();
    let all = || listed(all.iter().map(String::as_str));
    let mut modules: Vec<(usize, String)> = Vec::new();
    let mut cells: BTreeMap<((usize, String), usize), Cell> = BTreeMap::new();
    let mut others = Vec::new();
    for weight in weights {
        if mapping.place(Part::Ignore, &weight.name).is_some() {
            continue;
        }
        let name = weight.name.clone();
        if let Some(why) = &weight.unreadable {
            bail!("{name} {why} (--map ignore={name} leaves it out)");
        }
        refuse_by_name(&name)?;
        let place = mapping.place(Part::Lstm, &name);
        let is_elsewhere = mapping.has(Part::Lstm) && place.is_none();
        let Some((role, layer, "")) = role(&name).filter(|_| !is_elsewhere) else {
            others.push(weight);
            continue;
        };
        let module = name.rfind('.').map_or("", |at| &name[..at]);
        let module = (place.unwrap_or(0), module.to_owned());
        if !modules.contains(&module) {
            modules.push(module.clone());
        }
        let cell = cells.entry((module, layer)).or_default();
        match role {
            Role::WeightIh => cell.weight_ih = Some(weight),
            Role::WeightHh => cell.weight_hh = Some(weight),
            Role::Bias => cell.biases.push(weight),
        }
    }
    ensure!(
        !cells.is_empty(),
        "it has no weights of an nn.LSTM, such as weight_ih_l0, but {}",
        all()
    );
    ordered(&mut modules, is_ordered)?;
    let place = |module: &(usize, String)| modules.iter().position(|other| other == module);
    let mut cells: Vec<_> = cells.into_iter().collect();
    cells.sort_by_key(|((module, layer), _)| (place(module), *layer));
    for same in cells.chunk_by(|((one, _), _), ((other, _), _)| one == other) {
        for (at, ((_, layer), cell)) in same.iter().enumerate() {
            ensure!(
                at == *layer,
                "{} is of layer {layer}, and the file lacks layer {at} before it",
                cell.first_name()
            );
        }
    }
    let layers = cells.into_iter().map(|(_, cell)| layer(cell));
    let layers = layers.collect::<Result<Vec<Layer>>>()?;
    let inputs = layers[0].weight_ih.columns;
    let hidden = layers[layers.len() - 1].weight_hh.columns;

    let mut rest = Rest {
        weights: others,
        mapping,
    };
    let head = rest.head(hidden, inputs)?;
    let embedding = rest.embedding(inputs, head.weight.rows)?;
    rest.refuse()?;
    Foreign {
        embedding,
        layers,
        head,
        vocabularies,
        masks_first: false,
        own: None,
        notes: Vec::new(),
    }
    .checked()
}

/// What the LSTM layers have left.
struct Rest<'m> {
    weights: Vec<Weight>,
    mapping: &'m Mapping,
}

/// The name of the bias beside a weight.
fn bias_of(weight: &str) -> String {
    let module = weight.strip_suffix("weight").unwrap_or(weight);
    format!("{module}bias")
}

fn looks_like_embedding(name: &str) -> bool {
    let name = name.to_lowercase();
    EMBEDDINGS.iter().any(|part| name.contains(part))
}

impl Rest<'_> {
    fn find(&self, name: &str) -> Option<&Weight> {
        self.weights.iter().find(|weight| weight.name == name)
    }

    fn take(&mut self, name: &str) -> Option<Weight> {
        let at = self.weights.iter().position(|weight| weight.name == name)?;
        Some(self.weights.remove(at))
    }

    /// The matrices with this many columns that may be a part, or the one that is said to be.
    fn candidates(&self, part: Part, columns: usize) -> Vec<String> {
        let is_given = self.mapping.has(part);
        let matrices = self.weights.iter().filter(|weight| weight.dims.len() == 2);
        let may_be = matrices.filter(|weight| {
            if is_given {
                self.mapping.place(part, &weight.name).is_some()
            } else {
                weight.dims[1] == columns
            }
        });
        may_be.map(|weight| weight.name.clone()).collect()
    }

    /// Takes the linear layer behind the last LSTM layer.
    fn head(&mut self, hidden: usize, inputs: usize) -> Result<Dense> {
        let mut names = self.candidates(Part::Head, hidden);
        if !self.mapping.has(Part::Head) {
            let embeddings = self.candidates(Part::Embedding, inputs);
            let is_given = self.mapping.has(Part::Embedding);
            // What has no bias beside it and a telling name is an embedding.
            names.retain(|name| {
                let is_embedding = if is_given {
                    embeddings.contains(name)
                } else {
                    looks_like_embedding(name) && self.find(&bias_of(name)).is_none()
                };
                !is_embedding
            });
            // What it predicts is what it reads.
            let rows = |name: &String| self.find(name).map(|weight| weight.dims[0]);
            let fits = |name: &&String| {
                let tokens = embeddings.iter().filter(|embedding| embedding != name);
                rows(name) == Some(inputs)
                    || tokens
                        .into_iter()
                        .any(|embedding| rows(embedding) == rows(name))
            };
            let fitting: Vec<String> = names.iter().filter(fits).cloned().collect();
            if names.len() > 1 && !fitting.is_empty() {
                names = fitting;
            }
            if names.len() > 1 && names.iter().any(|name| self.find(&bias_of(name)).is_some()) {
                names.retain(|name| self.find(&bias_of(name)).is_some());
            }
        }
        let name = match &names[..] {
            [name] => name.clone(),
            [] => bail!(
                "it has no linear layer that takes the {hidden} numbers of the last LSTM layer, but {}: if one of \
                 them is, say --map head=NAME",
                listed(self.weights.iter().map(|weight| weight.name.as_str()))
            ),
            _ => bail!(
                "{} may each be the linear layer behind the LSTM: say --map head=NAME, and --map ignore=NAME of \
                 what isn't used",
                names.join(" and ")
            ),
        };
        let is_both = self.mapping.place(Part::Embedding, &name).is_some();
        let weight = if is_both {
            self.find(&name).cloned()
        } else {
            self.take(&name)
        };
        let weight = weight.context("the head is missing")?.matrix()?;
        let bias = match self.take(&bias_of(&name)) {
            Some(bias) => bias.vector(weight.rows)?.to_vec(),
            None => vec![0.0; weight.rows],
        };
        Ok(Dense { weight, bias })
    }

    /// Takes the embedding, if there is one.
    fn embedding(&mut self, inputs: usize, tokens: usize) -> Result<Option<Matrix>> {
        let mut names = self.candidates(Part::Embedding, inputs);
        if !self.mapping.has(Part::Embedding) {
            names.retain(|name| {
                let rows = self.find(name).map(|weight| weight.dims[0]);
                self.find(&bias_of(name)).is_none()
                    && (rows == Some(tokens) || looks_like_embedding(name))
            });
        }
        match &names[..] {
            [] => Ok(None),
            [name] => {
                let weight = self.take(name).context("the embedding is missing")?;
                weight.matrix().map(Some)
            }
            _ => bail!(
                "{} may each be the embedding: say --map embedding=NAME, and --map ignore=NAME of what isn't used",
                names.join(" and ")
            ),
        }
    }

    /// Refuses what nothing was made of.
    fn refuse(&self) -> Result<()> {
        let Some(weight) = self.weights.first() else {
            return Ok(());
        };
        let name = &weight.name;
        let lower = name.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        let in_module = |leaf: &str| {
            let module = name.rfind('.').map_or("", |at| &name[..=at]);
            self.find(&format!("{module}{leaf}")).is_some()
        };
        let what = if has(&["attn", "attention"]) {
            "attention"
        } else if in_module("running_mean") {
            "batch normalization"
        } else if has(&["conv"]) {
            "a convolution"
        } else if weight.dims.len() == 1 && in_module("weight") && in_module("bias") {
            "layer normalization"
        } else if weight.dims.len() == 2 {
            "another matrix"
        } else {
            "another part"
        };
        Err(refusal(name, what))
    }
}

/// Refuses what a name tells.
fn refuse_by_name(name: &str) -> Result<()> {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    let what = if leaf.ends_with("_reverse") {
        "a bidirectional LSTM"
    } else if leaf.starts_with("weight_hr_l") {
        "an LSTM with projections (proj_size)"
    } else if role(name).is_some_and(|(.., rest)| !rest.is_empty()) {
        "a weight that others are computed of (weight normalization or dropped weights)"
    } else {
        return Ok(());
    };
    Err(refusal(name, what))
}

/// The layer that has these weights.
fn layer(cell: Cell) -> Result<Layer> {
    let Cell {
        weight_ih,
        weight_hh,
        biases,
    } = cell;
    let both = weight_ih.as_ref().zip(weight_hh.as_ref());
    let Some((weight_ih, weight_hh)) = both else {
        let found = weight_ih.or(weight_hh).or(biases.into_iter().next());
        let name = found.map(|weight| weight.name).unwrap_or_default();
        bail!("beside {name} it lacks the weight_ih or weight_hh of the same layer");
    };
    let name = &weight_hh.name;
    let (ih, hh) = (weight_ih.matrix()?, weight_hh.matrix()?);
    match hh.rows {
        rows if rows == hh.columns => return Err(refusal(name, "a plain RNN (nn.RNN)")),
        rows if rows == 3 * hh.columns => return Err(refusal(name, "a GRU")),
        _ => {}
    }
    ensure!(
        hh.rows == ih.rows && Some(hh.rows) == hh.columns.checked_mul(4),
        "{} is {:?} and {name} {:?}: an LSTM layer's have 4 rows for each of its units",
        weight_ih.name,
        weight_ih.dims,
        weight_hh.dims
    );
    let mut bias = vec![0.0f64; hh.rows];
    for one in &biases {
        for (sum, &value) in bias.iter_mut().zip(one.vector(hh.rows)?) {
            *sum += f64::from(value);
        }
    }
    Ok(Layer {
        weight_ih: ih,
        weight_hh: hh,
        bias: bias.into_iter().map(|value| value as f32).collect(),
    })
}
