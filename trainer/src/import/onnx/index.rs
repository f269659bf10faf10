//! Which row of an embedding a token looks up: that of its own number, whatever is computed of it on the way.
//!
//! Keras counts negative numbers from the end, with five to ten nodes by version. These are computed for each token
//! instead of known by sight.

use std::collections::HashMap;

use super::{MOVES, Reader, attribute, input};
use crate::util::onnx::data_type;

/// How many nodes may stand one behind the other.
const MAX_DEPTH: usize = 64;

/// Whether a value is the token that is fed, for each of so many tokens.
pub(super) fn is_token(reader: &Reader<'_>, value: &str, tokens: usize) -> bool {
    (0..tokens).all(|token| {
        let token = token as f64;
        let mut known = HashMap::new();
        Values { reader, token }.value(value, 0, &mut known) == Some(token)
    })
}

/// What single numbers are computed of a token.
struct Values<'r, 'g> {
    reader: &'r Reader<'g>,
    token: f64,
}

/// Values that are known; of those that are looked for, and of others that can't be computed, there is none.
type Known<'r> = HashMap<&'r str, Option<f64>>;

impl<'r> Values<'r, '_> {
    fn value(&self, name: &'r str, depth: usize, known: &mut Known<'r>) -> Option<f64> {
        if let Some(&value) = known.get(name) {
            return value;
        }
        // A graph may go in circles.
        known.insert(name, None);
        let value = self.computed(name, depth, known);
        known.insert(name, value);
        value
    }

    fn computed(&self, name: &'r str, depth: usize, known: &mut Known<'r>) -> Option<f64> {
        if self.reader.constants.has(name) {
            return self.reader.constants.number(name);
        }
        let Some(node) = self.reader.producers.get(name) else {
            // It is what is fed.
            return Some(self.token);
        };
        if depth == MAX_DEPTH {
            return None;
        }
        let mut of = |at| self.value(input(node, at)?, depth + 1, known);
        let first = of(0)?;
        let truth = |is_true: bool| Some(f64::from(u8::from(is_true)));
        match node.op_type.as_str() {
            "Cast" => match attribute(node, "to")?.i? {
                to if to == i64::from(data_type::BOOL) => truth(first != 0.0),
                to if [data_type::INT32, data_type::INT64].contains(&to.try_into().ok()?) => {
                    Some(first.trunc())
                }
                _ => Some(first),
            },
            "Add" => Some(first + of(1)?),
            "Sub" => Some(first - of(1)?),
            "Mul" => Some(first * of(1)?),
            "Less" => truth(first < of(1)?),
            "Greater" => truth(first > of(1)?),
            "Not" => truth(first == 0.0),
            "Where" => of(if first == 0.0 { 2 } else { 1 }),
            moves if MOVES.contains(&moves) => Some(first),
            _ => None,
        }
    }
}
