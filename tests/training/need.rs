//! The memory that training steps need, estimated and measured.

use charlet_trainer::model::shape::Shape;
use charlet_trainer::train::need::of_training;
use serde_json::Value;

use crate::support::place::Place;
use crate::support::tolerance::MEMORY;

#[cfg(target_os = "linux")]
#[test]
fn the_estimate_is_near_the_peak() {
    let place = Place::new();
    // Wide, wide with few characters at once, many characters at once, and a large alphabet.
    for [vocab_size, hidden_size, num_layers, batch, window] in [
        [56, 512, 2, 64, 10],
        [56, 1200, 1, 8, 4],
        [56, 64, 1, 256, 250],
        [8000, 64, 1, 32, 40],
    ] {
        let shape = format!("{vocab_size},{hidden_size},{num_layers},{batch},{window}");
        let bench = [
            "bench",
            "train",
            "--json",
            "--seconds",
            "0.001",
            "--shape",
            &shape,
        ];
        let report: Value = serde_json::from_str(&place.succeed(&bench)).unwrap();
        let peak = report["results"][0]["peak_bytes"].as_f64().unwrap();
        let network = Shape {
            vocab_size,
            embedding_size: 32,
            hidden_size,
            num_layers,
        };
        let estimate = of_training(network, (batch * window) as f64, batch as f64, false).bytes();
        let ratio = estimate / peak;
        assert!(
            MEMORY.contains(&ratio),
            "{shape}: {estimate} instead of {peak}"
        );
    }
}
