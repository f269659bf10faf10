//! Weights that a graph puts together of constants: PyTorch's newer exporter does so with gates, if they are large.

use anyhow::{Context, Result, ensure};

use super::{Reader, attribute, input};
use crate::import::weight::Weight;
use crate::util::memory;
use crate::util::onnx::Node;

/// How many nodes may take part in a weight: a graph may go in circles.
const MAX_NODES: usize = 256;

impl Reader<'_> {
    /// A constant, or one that is made of others by moving their numbers; nothing of what is fed or computed.
    pub(super) fn constant(&self, name: &str) -> Result<Option<Weight>> {
        let weight = self.folded(name, &mut MAX_NODES.clone())?;
        let bytes = weight.as_ref().map_or(0, bytes);
        // Many nodes may have the same.
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.with_context(|| {
            let available = memory::available();
            format!("{name} and the weights before it are too large for memory: {available}")
        })?);
        Ok(weight)
    }

    fn folded(&self, name: &str, nodes: &mut usize) -> Result<Option<Weight>> {
        if let Some(weight) = self.constants.weight(name)? {
            return Ok(Some(weight));
        }
        let (Some(&node), 1..) = (self.producers.get(name), *nodes) else {
            return Ok(None);
        };
        *nodes -= 1;
        let operator = node.op_type.as_str();
        if operator == "Concat" {
            return self.concat(node, name, nodes);
        }
        let (Some(from), "Identity" | "Slice" | "Transpose" | "Unsqueeze") =
            (input(node, 0), operator)
        else {
            return Ok(None);
        };
        let Some(mut weight) = self.folded(from, nodes)? else {
            return Ok(None);
        };
        weight.name = name.to_owned();
        Ok(match operator {
            "Slice" => self.slice(node, weight),
            "Transpose" => transpose(node, weight)?,
            "Unsqueeze" if self.axis(node, 1) == Some(0) => {
                weight.dims.insert(0, 1);
                Some(weight)
            }
            "Identity" => Some(weight),
            _ => None,
        })
    }

    /// Weights one behind the other, in their first dimension.
    fn concat(&self, node: &Node, name: &str, nodes: &mut usize) -> Result<Option<Weight>> {
        if attribute(node, "axis").and_then(|axis| axis.i) != Some(0) {
            return Ok(None);
        }
        let mut whole: Option<Weight> = None;
        for part in &node.input {
            let Some(part) = self.folded(part, nodes)? else {
                return Ok(None);
            };
            let Some(whole) = &mut whole else {
                whole = Some(Weight {
                    name: name.to_owned(),
                    ..part
                });
                continue;
            };
            let (size, more) = (whole.dims.split_first(), part.dims.split_first());
            let (Some((_, inner)), Some((&more, other))) = (size, more) else {
                return Ok(None);
            };
            if inner != other {
                return Ok(None);
            }
            ensure!(
                bytes(whole).saturating_add(bytes(&part)) <= self.left.get(),
                "{name} is too large for memory: {}",
                memory::available()
            );
            whole.dims[0] += more;
            whole.values.extend(part.values);
        }
        Ok(whole)
    }

    /// Some rows.
    fn slice(&self, node: &Node, mut weight: Weight) -> Option<Weight> {
        let first_axis = input(node, 3).is_none() || self.axis(node, 3) == Some(0);
        let every = input(node, 4).is_none() || self.axis(node, 4) == Some(1);
        let (rows, inner) = weight.dims.split_first_mut()?;
        let place = |at| {
            let place = self.axis(node, at)?;
            // From the end, if it is negative; and as far as there are rows.
            let place = if place < 0 {
                place.saturating_add(*rows as i64)
            } else {
                place
            };
            Some(place.clamp(0, *rows as i64) as usize)
        };
        let (from, to) = (place(1)?, place(2)?);
        let width: usize = inner.iter().product();
        let values = weight.values.get(from * width..to * width);
        let values = values.filter(|_| first_axis && every)?.to_vec();
        *rows = to - from;
        Some(Weight { values, ..weight })
    }

    /// A whole number that a node is given.
    fn axis(&self, node: &Node, at: usize) -> Option<i64> {
        let number = self.constants.number(input(node, at)?)?;
        Some(number as i64)
    }
}

/// Rows as columns.
fn transpose(node: &Node, weight: Weight) -> Result<Option<Weight>> {
    let order = attribute(node, "perm").map(|order| &order.ints[..]);
    Ok(match (weight.dims.len(), order) {
        (2, None | Some([1, 0])) => {
            let matrix = weight.matrix()?.transposed();
            Some(matrix.into_weight(&weight.name))
        }
        (1, _) | (2, Some([0, 1])) => Some(weight),
        _ => None,
    })
}

fn bytes(weight: &Weight) -> u64 {
    size_of_val(&weight.values[..]) as u64
}
