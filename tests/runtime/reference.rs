//! Integer models in a plain reference, written after `runtime/ARITHMETIC.md` and `runtime/FORMAT.md`
//! with 64-bit integers, whose overflow would panic, and no thought of speed.

use charlet::Model;
use charlet::format::{Input, Precision, WeightBits};

/// A model file taken apart, as wide integers.
pub struct Reference {
    pub hidden: usize,
    pub vocab: usize,
    /// `[token][unit][gate]`; empty where there is an embedding.
    table: Vec<Vec<[i64; 4]>>,
    /// `[token][column]`; empty where there is a table.
    embedding: Vec<Vec<i64>>,
    layers: Vec<Rows>,
    head: Rows,
    pub h: Vec<Vec<i64>>,
    pub c: Vec<Vec<i64>>,
}

/// The rows of a layer or of the head, four to a block.
struct Rows {
    shifts: [u32; 2],
    /// Multipliers of sum and start value: `[block][row]`
    scales: Vec<[[i64; 2]; 4]>,
    start: Vec<[i64; 4]>,
    /// `[block][row][column]`
    weights: Vec<[Vec<i64>; 4]>,
}

/// Reads a file from front to back.
struct Bytes<'f>(&'f [u8]);

impl Bytes<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (now, rest) = self.0.split_at(count);
        self.0 = rest;
        now
    }

    /// A section, whose padding is zero.
    fn section(&mut self, count: usize) -> &[u8] {
        let (now, padding) = self.take(count.div_ceil(16) * 16).split_at(count);
        assert!(padding.iter().all(|&byte| byte == 0), "padding");
        now
    }

    fn scales(&mut self, blocks: usize) -> Vec<[[i64; 2]; 4]> {
        let value = |b: &[u8]| i64::from(u16::from_le_bytes([b[0], b[1]]));
        self.section(16 * blocks)
            .chunks(16)
            .map(|b| [0, 4, 8, 12].map(|at| [value(&b[at..]), value(&b[at + 2..])]))
            .collect()
    }

    fn weights(&mut self, blocks: usize, columns: usize, bits: usize) -> Vec<[Vec<i64>; 4]> {
        let quad = if bits == 4 { 8 } else { 4 };
        let block = |bytes: &[u8]| {
            [0, 1, 2, 3].map(|row| {
                let column = |column: usize| {
                    let place = [0, 2, 1, 3].iter().position(|&c| c == column % 4).unwrap();
                    let byte = i64::from(bytes[column / quad * 16 + row * 4 + place]);
                    match (bits, column % quad) {
                        (8, _) => byte - 64,
                        (_, 0..4) => byte % 16 - 8,
                        _ => byte / 16 - 8,
                    }
                };
                (0..columns).map(column).collect()
            })
        };
        self.section(blocks * columns / quad * 16)
            .chunks(columns / quad * 16)
            .map(block)
            .collect()
    }
}

/// Start values of four rows each.
fn fours(bytes: &[u8]) -> Vec<[i64; 4]> {
    bytes
        .chunks(4)
        .map(|b| [0, 1, 2, 3].map(|at| i64::from(b[at] as i8)))
        .collect()
}

impl Reference {
    pub fn new(file: &[u8]) -> Self {
        let model = Model::from_bytes(file).unwrap();
        let header = model.header();
        let [hidden, vocab, layers] =
            [header.hidden_size, header.vocab_size, header.num_layers].map(usize::from);
        let (bits, quad) = match header.precision {
            Precision::I4 => (4, 8),
            _ => (8, 4),
        };
        let padded = hidden.div_ceil(quad) * quad;
        let embedded = match header.input {
            Input::Embedding => usize::from(header.embedding_size).div_ceil(quad) * quad,
            _ => 0,
        };
        let head_bits = match header.head_bits {
            WeightBits::Four => 4,
            WeightBits::Eight => 8,
        };
        let header_len = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
        let mut bytes = Bytes(&file[(32 + header_len).div_ceil(16) * 16..]);
        let shifts = bytes.section(2 * (layers + 1)).to_vec();
        let shifts = |at: usize| [shifts[2 * at].into(), shifts[2 * at + 1].into()];
        let (mut table, mut embedding) = (Vec::new(), Vec::new());
        if embedded == 0 {
            let rows = bytes.section(4 * vocab * hidden).chunks(4 * hidden);
            table.extend(rows.map(fours));
        } else {
            let rows = bytes.section(vocab * embedded).chunks(embedded);
            let row = |row: &[u8]| row.iter().map(|&byte| i64::from(byte as i8)).collect();
            embedding.extend(rows.map(row));
        }
        let layer = |index: usize, bytes: &mut Bytes<'_>| Rows {
            shifts: shifts(index),
            scales: bytes.scales(hidden),
            start: if index == 0 && embedded == 0 {
                Vec::new()
            } else {
                fours(bytes.section(4 * hidden))
            },
            weights: {
                let below = if index == 0 { embedded } else { padded };
                bytes.weights(hidden, below + padded, bits)
            },
        };
        let layers: Vec<Rows> = (0..layers).map(|index| layer(index, &mut bytes)).collect();
        let blocks = vocab.div_ceil(4);
        let head = Rows {
            shifts: shifts(layers.len()),
            scales: bytes.scales(blocks),
            start: fours(bytes.section(4 * blocks)),
            weights: bytes.weights(blocks, padded, head_bits),
        };
        assert!(bytes.0.is_empty(), "the sections fill the file");
        let (h, c) = (
            vec![vec![0; padded]; layers.len()],
            vec![vec![0; hidden]; layers.len()],
        );
        Self {
            hidden,
            vocab,
            table,
            embedding,
            layers,
            head,
            h,
            c,
        }
    }

    /// Feeds a token and gives the logits.
    pub fn step(&mut self, token: usize) -> Vec<i64> {
        for layer in 0..self.layers.len() {
            let below = if layer == 0 {
                self.embedding.get(token).cloned().unwrap_or_default()
            } else {
                self.h[layer - 1].clone()
            };
            let inputs = [below, self.h[layer].clone()].concat();
            let rows = &self.layers[layer];
            let start = match self.table.get(token) {
                Some(start) if layer == 0 => start,
                _ => &rows.start,
            };
            for (unit, &start) in start.iter().enumerate() {
                let [i, f, g, o] = rows.values(unit, start, &inputs);
                let c = self.c[layer][unit];
                let c = 2 * ((c * sigmoid(f)) >> 16) + ((sigmoid(i) * tanh(g)) >> 14);
                assert!(i32::try_from(c).is_ok(), "c has left its format: {c}");
                self.c[layer][unit] = c;
                let h = (sigmoid(o) * tanh(c >> 5) + (1 << 22)) >> 23;
                self.h[layer][unit] = h.min(127);
            }
        }
        let h = &self.h[self.h.len() - 1];
        let block = |block: usize| self.head.values(block, self.head.start[block], h);
        let logits = (0..self.head.start.len()).flat_map(block);
        logits.take(self.vocab).collect()
    }

    /// The words of a state, as the format orders them.
    pub fn words(&self) -> Vec<u32> {
        let four = |h: &[i64]| u32::from_le_bytes([0, 1, 2, 3].map(|at| h[at] as u8));
        let h = self.h.iter().flat_map(|h| h.chunks(4).map(four));
        h.chain(self.c.iter().flatten().map(|&c| c as i32 as u32))
            .collect()
    }
}

impl Rows {
    fn values(&self, block: usize, start: [i64; 4], inputs: &[i64]) -> [i64; 4] {
        let [first, second] = self.shifts;
        [0, 1, 2, 3].map(|row| {
            let products = self.weights[block][row]
                .iter()
                .zip(inputs)
                .map(|(w, x)| w * x);
            let sum = ((1 << first) >> 1) + products.sum::<i64>();
            let shifted = sum >> first;
            assert!(
                i16::try_from(shifted).is_ok(),
                "a shifted sum has left 16 bits: {shifted}"
            );
            let [of_sum, of_start] = self.scales[block][row];
            let scaled = shifted * of_sum + start[row] * 256 * of_start + ((1 << second) >> 1);
            assert!(
                i32::try_from(scaled).is_ok(),
                "a scaled sum has left 32 bits: {scaled}"
            );
            scaled >> second
        })
    }
}

fn sigmoid(sum: i64) -> i64 {
    let entry = |n: i64| -> i64 {
        let exact = 32_768.0 / (1.0 + (-(n as f64) / 16.0).exp());
        (exact.round() as i64).min(32_767)
    };
    let a = sum.abs().min(32_767);
    let (n, r) = (a >> 7, a & 127);
    let y = entry(n) + (((entry(n + 1) - entry(n)) * r + 64) >> 7);
    if sum >= 0 { y } else { 32_768 - y }
}

fn tanh(sum: i64) -> i64 {
    2 * sigmoid(2 * sum.clamp(-32_767, 32_767)) - 32_768
}

/// How a token is drawn, with sorting.
pub struct Draw {
    pub temperature: f64,
    pub top_k: usize,
    pub top_p: f64,
}

impl Draw {
    pub fn token(&self, logits: &[i64], random: u32) -> usize {
        let (mut m, mut k) = (std::f64::consts::LOG2_E / (2.0 * self.temperature), 0u32);
        while m < 32_768.0 && k < 17 {
            (m, k) = (2.0 * m, k + 1);
        }
        let m = m.round() as i64;
        let limit = (17_408i64 << k) / m + 1;
        let max = *logits.iter().max().unwrap();
        let weight = |logit: &i64| {
            let d = max - logit;
            if d >= limit { 0 } else { power((d * m) >> k) }
        };
        let mut weights: Vec<i64> = logits.iter().map(weight).collect();
        let mut ranked: Vec<usize> = (0..weights.len()).collect();
        ranked.sort_by_key(|&token| (-weights[token], token));
        for &token in &ranked[self.top_k..] {
            weights[token] = 0;
        }
        let mass = (weights.iter().sum::<i64>() * (self.top_p * 65_536.0) as i64) >> 16;
        let mut kept = 0;
        for &token in &ranked {
            if kept >= mass && kept > 0 {
                weights[token] = 0;
            }
            kept += weights[token];
        }
        let target = (i64::from(random) * weights.iter().sum::<i64>()) >> 32;
        let mut sum = 0;
        let passes = |weight: &i64| {
            sum += weight;
            sum > target
        };
        weights.iter().position(passes).unwrap()
    }
}

fn power(e: i64) -> i64 {
    let entry = |n: i64| -> i64 { (65_536.0 * (-(n as f64) / 32.0).exp2()).round() as i64 };
    let (n, r) = ((e & 1023) >> 5, e & 31);
    (entry(n) - (((entry(n) - entry(n + 1)) * r) >> 5)) >> (e >> 10)
}
