use charlet::format::layout::WeightBits;
use charlet::format::{Header, Input, Precision};

/// Bits of a byte that can have one value only, and that value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    pub mask: u8,
    pub value: u8,
}

impl Fixed {
    const ZERO: Self = Self {
        mask: 0xff,
        value: 0,
    };

    pub fn allows(self, byte: u8) -> bool {
        byte & self.mask == self.value
    }

    /// The byte, with the bits that it must have.
    pub fn apply(self, byte: u8) -> u8 {
        byte & !self.mask | self.value
    }
}

/// The fixed bits of all weights, as `runtime/FORMAT.md` describes them; written without the reader's
/// code, so that one checks the other.
pub fn fixed(header: &Header<'_>) -> Vec<Fixed> {
    match header.precision {
        Precision::F32 => float(header),
        Precision::I8 => integer(header, WeightBits::Eight),
        Precision::I4 => integer(header, WeightBits::Four),
        _ => Vec::new(),
    }
}

fn float(header: &Header<'_>) -> Vec<Fixed> {
    let hidden = usize::from(header.hidden_size);
    let vocab = usize::from(header.vocab_size);
    let mut fixed = Vec::new();
    let mut column = |is_row: &dyn Fn(usize) -> bool| {
        for row in 0..16 {
            let kind = if is_row(row) {
                Fixed::default()
            } else {
                Fixed::ZERO
            };
            fixed.extend([kind; 4]);
        }
    };
    let blocks = hidden.div_ceil(4);
    let mut gates = |block: usize, columns: usize| {
        for _ in 0..columns {
            column(&|row| 4 * block + row % 4 < hidden);
        }
    };
    for _ in 0..vocab {
        (0..blocks).for_each(|block| gates(block, 1));
    }
    (0..blocks).for_each(|block| gates(block, hidden));
    for _ in 1..header.num_layers {
        (0..blocks).for_each(|block| gates(block, 1));
        (0..blocks).for_each(|block| gates(block, 2 * hidden));
    }
    for columns in [1, hidden] {
        for block in 0..vocab.div_ceil(16) {
            for _ in 0..columns {
                column(&|row| 16 * block + row < vocab);
            }
        }
    }
    fixed
}

fn integer(header: &Header<'_>, bits: WeightBits) -> Vec<Fixed> {
    let hidden = usize::from(header.hidden_size);
    let vocab = usize::from(header.vocab_size);
    let layers = usize::from(header.num_layers);
    let mut fixed = Vec::new();
    // Shifts and biases of whole bytes.
    let bytes = |fixed: &mut Vec<Fixed>, count: usize| {
        fixed.extend(vec![Fixed::default(); count]);
        fixed.resize(fixed.len().next_multiple_of(16), Fixed::ZERO);
    };
    bytes(&mut fixed, 2 * (layers + 1));
    let embedded = match header.input {
        Input::Embedding => usize::from(header.embedding_size),
        _ => 0,
    };
    let columns = bits.columns();
    if embedded == 0 {
        bytes(&mut fixed, 4 * vocab * hidden);
    } else {
        for _ in 0..vocab {
            fixed.extend(vec![Fixed::default(); embedded]);
            let padding = embedded.next_multiple_of(columns) - embedded;
            fixed.extend(vec![Fixed::ZERO; padding]);
        }
        bytes(&mut fixed, 0);
    }
    let part = |fixed: &mut Vec<Fixed>, rows: usize, inputs: &[usize], bits, bias: bool| {
        let padded_rows = rows.next_multiple_of(4);
        for row in 0..padded_rows {
            for _ in 0..2 {
                let top = Fixed {
                    mask: 0x80,
                    value: 0,
                };
                let scale = if row < rows {
                    [Fixed::default(), top]
                } else {
                    [Fixed::ZERO; 2]
                };
                fixed.extend(scale);
            }
        }
        if bias {
            bytes(fixed, rows);
        }
        for block in 0..padded_rows / 4 {
            for &inputs in inputs {
                let padded = inputs.next_multiple_of(columns);
                let quads = match bits {
                    WeightBits::Four => padded / 8,
                    WeightBits::Eight => padded / 4,
                };
                for quad in 0..quads {
                    for row in 4 * block..4 * block + 4 {
                        weights(fixed, quad, bits, inputs, row < rows);
                    }
                }
            }
        }
    };
    for layer in 0..layers {
        let inputs: &[usize] = match layer {
            0 if embedded == 0 => &[hidden],
            0 => &[embedded, hidden],
            _ => &[hidden, hidden],
        };
        let has_bias = layer > 0 || embedded > 0;
        part(&mut fixed, 4 * hidden, inputs, bits, has_bias);
    }
    part(&mut fixed, vocab, &[hidden], header.head_bits, true);
    fixed
}

/// A row's four bytes of a quad.
fn weights(fixed: &mut Vec<Fixed>, quad: usize, bits: WeightBits, inputs: usize, is_row: bool) {
    for column in [0, 2, 1, 3] {
        match bits {
            WeightBits::Eight => {
                let is_weight = is_row && 4 * quad + column < inputs;
                fixed.push(Fixed {
                    mask: if is_weight { 0x80 } else { 0xff },
                    value: if is_weight { 0 } else { 64 },
                });
            }
            WeightBits::Four => {
                let low = is_row && 8 * quad + column < inputs;
                let high = is_row && 8 * quad + column + 4 < inputs;
                let mask = if low { 0 } else { 0x0f } | if high { 0 } else { 0xf0 };
                fixed.push(Fixed {
                    mask,
                    value: 0x88 & mask,
                });
            }
        }
    }
}
