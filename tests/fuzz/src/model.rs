use charlet::format::layout::{IntegerSections, WeightBits};
use charlet::format::{self, Cell, Header, Input, PRELUDE_LEN, Precision};
use charlet::{Loader, Model, Rng, Sampler, Session};

use super::layout::fixed;

/// Texts are this long: states that go wrong do so within a few steps.
const CHARS: usize = 4;

/// Reads a model, and if it is one makes it write, score, save and restore.
pub fn check(bytes: &[u8]) {
    let read = Model::from_bytes(bytes);
    let piece = bytes.last().map_or(1, |byte| 1 + usize::from(*byte));
    let loaded = load(bytes, piece);
    assert_eq!(
        read.as_ref().err(),
        loaded.as_ref().err(),
        "Loader and from_bytes differ"
    );
    let Ok(model) = read else {
        return;
    };
    is_canonical(bytes, &model);
    use_it(&model);
}

fn load(bytes: &[u8], piece: usize) -> Result<Model<'_>, charlet::Error> {
    let mut loader = Loader::new(bytes)?;
    loop {
        if let Some(model) = loader.advance(piece)? {
            return Ok(model);
        }
    }
}

/// The file is the one that is written for its contents: no other means the same.
fn is_canonical(bytes: &[u8], model: &Model<'_>) {
    let header = model.header();
    let fixed = fixed(&header);
    let (start, weights) = bytes.split_at(bytes.len() - fixed.len());
    for (at, (byte, fixed)) in weights.iter().zip(fixed).enumerate() {
        // What fills up integer models is not looked at.
        let is_read = header.precision == Precision::F32 || fixed.mask == 0x80;
        assert!(
            !is_read || fixed.allows(*byte),
            "byte {} is {byte}",
            start.len() + at
        );
    }
    let mut again = vec![0; bytes.len()];
    let written = format::write(&header, &mut again, |to| to.copy_from_slice(weights));
    assert_eq!(written, Ok(()));
    assert_eq!(again, bytes, "another file means the same");
}

fn use_it(model: &Model<'_>) {
    let bits = model.checksum();
    let mut rng = Rng::from_seed(bits.into());
    let sampler = match bits % 4 {
        0 => Ok(Sampler::argmax()),
        1 => Sampler::with_temperature(0.01 + (bits >> 8 & 0xff) as f32),
        2 => Sampler::with_temperature(1.0).and_then(|sampler| sampler.top_k(2)),
        _ => Sampler::with_temperature(1.0).and_then(|sampler| sampler.top_p(0.5)),
    }
    .expect("a sampler");
    let mut session = Session::boxed(model);
    for _ in 0..CHARS {
        session.next_char(sampler, || rng.next_u32());
    }
    let first = model.vocab().chars().chars().next();
    if let Some(char) = first {
        session.score_char(char).expect("a character that it knows");
    }
    if model.vocab().unknown().is_some() {
        session.score_char('\0').expect("any character");
    }
    session.score_end();
    let mut saved = vec![0; session.saved_len()];
    session.save(&mut saved).expect("a buffer that fits");
    let mut restored = Session::boxed(model);
    restored.restore(&saved).expect("a state of this model");
    let mut other = rng.clone();
    for _ in 0..CHARS {
        let (one, two) = (
            session.next_char(sampler, || rng.next_u32()),
            restored.next_char(sampler, || other.next_u32()),
        );
        assert_eq!(one, two, "a restored text goes on otherwise");
    }
    // Any words are a state.
    for (at, byte) in saved.iter_mut().enumerate().skip(8) {
        *byte ^= (bits >> (at % 4 * 8)) as u8;
    }
    restored.restore(&saved).expect("a state of this model");
    restored.next_char(sampler, || rng.next_u32());
}

/// Changes a model file, most often so that it gets past the first checks. `default` is the fuzzer's own
/// change of the first bytes of a buffer.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    default: impl Fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut rng = Rng::from_seed(seed.into());
    let mut next = |below: u32| rng.next_u32() % below;
    let max_size = max_size.min(data.len());
    let file = data[..size].to_vec();
    let header = Model::from_bytes(&file)
        .ok()
        .map(|model| (model.header(), file.len() - fixed(&model.header()).len()));
    let size = match (next(8), header) {
        (0..3, Some((mut header, _))) => {
            let mut chars: String = header.chars.to_owned();
            for _ in 0..=next(2) {
                change(&mut header, &mut chars, &mut next);
            }
            header.chars = &chars;
            let file = written(&header, &file);
            match data.get_mut(..file.len()) {
                Some(to) if file.len() <= max_size => {
                    to.copy_from_slice(&file);
                    file.len()
                }
                _ => default(data, size, max_size),
            }
        }
        (3..7, Some((header, start))) => {
            let weights = &mut data[start..size];
            let len = weights.len();
            default(weights, len, len);
            // Mostly in bits that are free.
            if next(8) > 0 {
                for (byte, fixed) in weights.iter_mut().zip(fixed(&header)) {
                    *byte = fixed.apply(*byte);
                }
            }
            size
        }
        _ => default(data, size, max_size),
    };
    if next(64) > 0 {
        seal(&mut data[..size]);
    }
    size
}

/// Makes length and checksum right.
pub fn seal(file: &mut [u8]) {
    let len = file.len() as u32;
    if let Some((prelude, body)) = file.split_first_chunk_mut::<PRELUDE_LEN>() {
        prelude[16..20].copy_from_slice(&len.to_le_bytes());
        let crc = crc(crc(!0, &prelude[..28]), body);
        prelude[28..].copy_from_slice(&(!crc).to_le_bytes());
    }
}

fn crc(mut remainder: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    for byte in bytes {
        remainder = remainder >> 8 ^ TABLE[((remainder ^ u32::from(*byte)) & 0xff) as usize];
    }
    remainder
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = (remainder >> 1) ^ (0xedb8_8320 * (remainder & 1));
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
}

/// Changes a field of a header, so that it may still be valid.
fn change(header: &mut Header<'_>, chars: &mut String, next: &mut impl FnMut(u32) -> u32) {
    let near = |value: u16, step: u32| (u32::from(value) + 2).saturating_sub(step).min(40) as u16;
    let marks = header
        .vocab_size
        .saturating_sub(chars.chars().count() as u16);
    match next(12) {
        0 => header.hidden_size = near(header.hidden_size, next(5)),
        1 => header.num_layers = near(header.num_layers, next(5)).min(5),
        2 => header.vocab_size = near(header.vocab_size, next(5)),
        3 => header.start = next(u32::from(header.vocab_size) + 2) as u16,
        4 => {
            let end = next(u32::from(header.vocab_size) + 2) as u16;
            header.end = (next(3) > 0).then_some(end);
        }
        5 => {
            let sizes = [1, 2, 3, 5, 9, 16, 127, 128, 16_383, 16_384, 65_535];
            header.embedding_size = sizes[next(sizes.len() as u32) as usize];
        }
        6 => header.precision = [Precision::F32, Precision::I8, Precision::I4][next(3) as usize],
        7 => {
            // In its place, and its token with it.
            let bound = [0x80, 0x800, 0x1_0000, 0x11_0000][next(4) as usize];
            if let Some(new) = char::from_u32(next(bound))
                && let Err(at) = chars.chars().collect::<Vec<_>>().binary_search(&new)
            {
                let at = chars
                    .char_indices()
                    .nth(at)
                    .map_or(chars.len(), |(at, _)| at);
                chars.insert(at, new);
            }
        }
        // Small, or most would be too large.
        8 => {
            header.input = [Input::Table, Input::Embedding][next(2) as usize];
            header.embedding_size = header.embedding_size.min(40);
        }
        9 => header.head_bits = [WeightBits::Eight, WeightBits::Four][next(2) as usize],
        10 => header.has_unknown = next(3) > 0,
        _ => {
            if let Some((at, _)) = chars.char_indices().nth(next(8) as usize) {
                chars.remove(at);
            }
        }
    }
    let count = chars.chars().count() as u16;
    if next(8) > 0 && header.vocab_size < count + 1 {
        let unknown = u16::from(header.has_unknown);
        header.vocab_size = count + marks.clamp(1, 3) + unknown;
        header.start = header.start.min(header.vocab_size - 1);
        header.end = header.end.map(|_| header.vocab_size - 1 - unknown);
    }
}

/// The file of a header with weights that are valid, and differ.
pub fn written(header: &Header<'_>, from: &[u8]) -> Vec<u8> {
    let Some(len) = format::file_len(header).filter(|&len| len < 1 << 16) else {
        return Vec::new();
    };
    let mut file = vec![0; len];
    let shifts = IntegerSections::of(header).map_or(0, |sections| 2 * (sections.num_layers + 1));
    let zero = IntegerSections::of(header).map_or(0, |sections| match sections.weight_bits {
        WeightBits::Four => 0x88,
        WeightBits::Eight => 0x40,
    });
    let _ = format::write(header, &mut file, |weights| {
        let skip = from.len() / 2;
        for (at, (byte, fixed)) in weights.iter_mut().zip(fixed(header)).enumerate() {
            let value = match from.get((skip + at) % from.len().max(1)) {
                _ if at < shifts => 20,
                // Numbers, and weights near zero.
                Some(_) if zero == 0 && at % 4 == 3 => 0x3d,
                Some(byte) if at % 3 == 0 => zero ^ byte & 0x13,
                _ => zero,
            };
            *byte = fixed.apply(value);
        }
    });
    file
}

/// Small models to begin with: every precision, one layer and two, odd sizes.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for precision in [Precision::F32, Precision::I8, Precision::I4] {
        for (chars, hidden_size, num_layers, marks) in [
            ("ab", 3, 1, 1),
            ("aé🦀", 4, 2, 0),
            ("\nabcd", 5, 2, 1),
            ("x", 9, 3, 2),
        ] {
            let count = chars.chars().count() as u16;
            let header = Header {
                cell: Cell::Lstm,
                precision,
                chars,
                vocab_size: count + marks,
                start: count - u16::from(marks == 0),
                end: (marks > 0).then_some(count),
                embedding_size: 300,
                hidden_size,
                num_layers,
                // With two marks one is for unknown characters.
                has_unknown: marks > 1,
                input: Input::Table,
                head_bits: WeightBits::Eight,
            };
            let noise: Vec<u8> = (0..251u32).map(|at| (at * at * 7 + at) as u8).collect();
            seeds.push(written(&header, &noise));
        }
    }
    // What version 2 adds.
    for (precision, head_bits) in [
        (Precision::I8, WeightBits::Eight),
        (Precision::I4, WeightBits::Four),
    ] {
        for (chars, embedding_size, hidden_size, num_layers) in [("ab", 3, 5, 1), ("aé🦀", 9, 4, 2)]
        {
            let count = chars.chars().count() as u16;
            let header = Header {
                cell: Cell::Lstm,
                precision,
                chars,
                vocab_size: count + 2,
                start: count,
                end: Some(count),
                embedding_size,
                hidden_size,
                num_layers,
                has_unknown: true,
                input: Input::Embedding,
                head_bits,
            };
            let noise: Vec<u8> = (0..251u32).map(|at| (at * at * 7 + at) as u8).collect();
            seeds.push(written(&header, &noise));
        }
    }
    // Small, so that a second has many of them.
    seeds.retain(|seed| seed.len() < 3000);
    seeds
}
