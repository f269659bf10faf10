//! The few messages of TensorFlow's `event.proto` and `summary.proto` that an event file needs.

/// How a field's value is stored.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// `SessionLog.status` of a run that starts.
const START: u64 = 1;
/// `TensorProto.dtype` of strings.
const DT_STRING: u64 = 7;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn field(number: u64, kind: u64, value: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | kind), value].concat()
}

fn number(number: u64, value: u64) -> Vec<u8> {
    field(number, VARINT, &varint(value))
}

fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
    field(
        number,
        LENGTH,
        &[&varint(value.len() as u64), value].concat(),
    )
}

/// An `Event` of this time and step; `what` is one of those below.
pub(super) fn event(wall_time: f64, step: usize, what: &[u8]) -> Vec<u8> {
    let time = field(1, EIGHT_BYTES, &wall_time.to_le_bytes());
    // As in TensorFlow's own files, 0 is left out.
    let step = match step {
        0 => Vec::new(),
        step => number(2, step as u64),
    };
    [&time, &step, what].concat()
}

/// The contents of the first event.
pub(super) fn version() -> Vec<u8> {
    bytes(3, b"brain.Event:2")
}

/// What was said of this step and later ones doesn't count.
pub(super) fn restart() -> Vec<u8> {
    bytes(7, &number(1, START))
}

/// A point of a curve.
pub(super) fn scalar(tag: &str, value: f64) -> Vec<u8> {
    let value = field(2, FOUR_BYTES, &(value as f32).to_le_bytes());
    tagged(tag, &value)
}

/// A text.
pub(super) fn text(tag: &str, text: &str) -> Vec<u8> {
    let tensor = [
        number(1, DT_STRING),
        bytes(2, &[]),
        bytes(8, text.as_bytes()),
    ]
    .concat();
    let plugin = bytes(1, &bytes(1, b"text"));
    tagged(tag, &[bytes(8, &tensor), bytes(9, &plugin)].concat())
}

/// A value of a `Summary`.
fn tagged(tag: &str, value: &[u8]) -> Vec<u8> {
    bytes(1, &[&bytes(1, tag.as_bytes()), value].concat())
}

/// An event with scalars and texts.
pub(super) fn summary(values: &[Vec<u8>]) -> Vec<u8> {
    bytes(5, &values.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_encoded_as_the_format_says() {
        assert_eq!(varint(300), [0xac, 0x02]);
        let time = [&[0x09][..], &1.5f64.to_le_bytes()].concat();
        let expected = [&time[..], &[0x10, 0xac, 0x02, 0x3a, 0x02, 0x08, 0x01]].concat();
        assert_eq!(event(1.5, 300, &restart()), expected);
        // Summary { value { tag: "a", simple_value: 1.0 } }
        let value = [0x0a, 0x01, b'a', 0x15, 0, 0, 0x80, 0x3f];
        let expected = [&[0x2a, 10, 0x0a, 8][..], &value].concat();
        assert_eq!(summary(&[scalar("a", 1.0)]), expected);
    }
}
