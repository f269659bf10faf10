use charlet::Rng;

/// Numbers that readers stumble over.
const NUMBERS: [&str; 24] = [
    "0",
    "-0.0",
    "1",
    "-1",
    "2",
    "0.5",
    "1.0",
    "1e-320",
    "1e20",
    "-1e20",
    "1e308",
    "1e400",
    "null",
    "nan",
    "inf",
    "16",
    "255",
    "65535",
    "65536",
    "1099511627776",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "-9223372036854775808",
];

/// Changes a text: half of the time a number in it, else as the fuzzer does.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    default: impl Fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut rng = Rng::from_seed(seed.into());
    let mut next = |below: usize| (rng.next_u32() as usize) % below.max(1);
    let numbers = numbers(&data[..size]);
    let max_size = max_size.min(data.len());
    if next(2) == 0 || numbers.is_empty() {
        return default(data, size, max_size);
    }
    let (from, to) = numbers[next(numbers.len())];
    let new = NUMBERS[next(NUMBERS.len())].as_bytes();
    let text = [&data[..from], new, &data[to..size]].concat();
    if text.len() > max_size {
        return default(data, size, max_size);
    }
    data[..text.len()].copy_from_slice(&text);
    text.len()
}

/// From where to where numbers stand.
fn numbers(text: &[u8]) -> Vec<(usize, usize)> {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e');
    let mut numbers = Vec::new();
    let mut from = 0;
    for run in text.split_inclusive(|byte| !is_part(byte)) {
        let len = run.iter().take_while(|byte| is_part(byte)).count();
        if run[..len].iter().any(u8::is_ascii_digit) {
            numbers.push((from, from + len));
        }
        from += run.len();
    }
    numbers
}
