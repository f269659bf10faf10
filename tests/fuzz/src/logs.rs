use charlet_trainer::report::jsonl::lines;
use charlet_trainer::train::metrics::{EpochMetrics, StepMetrics};

use super::file::with_file;

/// Reads the file as both logs.
pub fn check(bytes: &[u8]) {
    with_file(bytes, |path| {
        let _ = lines::<StepMetrics>(path);
        let _ = lines::<EpochMetrics>(path);
    });
}

/// What to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let steps = "{\"step\":10,\"epoch\":0.25,\"train_nats_per_char\":2.5,\"smoothed_nats_per_char\":2.75,\
                 \"learning_rate\":0.001,\"gradient_norm\":0.1,\"chars_per_second\":1e5}\n";
    let epoch = "{\"epoch\":1,\"steps\":40,\"train_nats_per_char\":2.5,\"smoothed_nats_per_char\":null,\
                 \"validation_nats_per_char\":2.25,\"learning_rate\":0.001,\"gradient_norm\":0.1,\
                 \"chars_per_second\":1e5,\"seconds\":3.5,\"known_lines\":0.5}\n";
    [steps.repeat(2), epoch.repeat(2)]
        .map(String::into_bytes)
        .to_vec()
}
