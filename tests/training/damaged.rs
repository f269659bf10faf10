//! Checkpoints that no run can have written are refused, with the field and its value.

use candle_core::{DType, Device, Tensor};
use charlet_trainer::train::checkpoint::{Checkpoint, STATE, WEIGHTS};
use serde_json::{Value, json};

use crate::hostile::fuzz::checkpoint::{redescribed, seeds};
use crate::support::place::Place;

/// Reads a checkpoint.
fn load(bytes: &[u8]) -> Result<Checkpoint, String> {
    let place = Place::new();
    place.write("run.safetensors", bytes);
    Checkpoint::load(&place.path("run.safetensors"), &Device::Cpu)
        .map_err(|error| format!("{error:#}"))
}

#[test]
fn numbers_that_no_run_has_are_refused() {
    let seed = seeds().swap_remove(0);
    load(&redescribed(&seed, |_| {})).unwrap();
    let epoch = |number: i64| json!({"number": number, "loss": 2.5});
    for (field, value) in [
        ("/progress/seconds", json!(-1.0)),
        ("/progress/seconds", json!(1e20)),
        ("/progress/totals/seconds", json!(-1.0)),
        ("/progress/line/seconds", json!(1e300)),
        ("/progress/fallbacks", json!(-1)),
        ("/progress/fallbacks", json!(6)),
        ("/progress/epoch", json!(1u64 << 40)),
        ("/progress/epoch", json!(41)),
        ("/progress/steps", json!(u64::MAX)),
        ("/progress/totals/batches", json!(41)),
        ("/progress/totals/chars", json!(u64::MAX)),
        ("/progress/best", epoch(2)),
        ("/progress/best", epoch(0)),
        ("/progress/kept", json!([epoch(1), epoch(1)])),
        ("/progress/plateau/falls", json!(-3)),
        ("/progress/plateau/waited", json!(u64::MAX)),
        ("/progress/streams/order/s", json!([0, 0, 0, 0])),
        ("/config/network/num_layers", json!(1u64 << 40)),
        ("/config/network/hidden_size", json!(0)),
        ("/config/optimizer/learning_rate", json!(-1.0)),
        ("/alphabet/chars", json!("aab")),
        ("/alphabet/chars", json!("ba")),
        ("/alphabet/size", json!(9)),
        ("/alphabet/start", json!(7)),
        ("/alphabet/end", json!(0)),
        ("/alphabet/unknown", json!(0)),
        ("/alphabet/unknown", json!(2)),
        ("/alphabet/unknown", json!(7)),
    ] {
        let changed = redescribed(&seed, |description| {
            // An alphabet without a mark for unknown characters doesn't name one.
            description["alphabet"]["unknown"] = Value::Null;
            *description.pointer_mut(field).unwrap() = value.clone();
        });
        let error = load(&changed).unwrap_err();
        assert!(error.contains("run.safetensors"), "{field}: {error}");
        // The alphabet and the settings have words of their own.
        let word = match field.split('/').nth(1) {
            Some("progress") if !field.contains("streams") => field.rsplit('/').next().unwrap(),
            Some("progress") => "random sequence",
            Some(section) => section,
            None => unreachable!(),
        };
        assert!(error.contains(word), "{field} = {value}: {error}");
    }
}

#[test]
fn an_alphabet_of_another_length_than_the_weights_is_refused() {
    let changed = redescribed(&seeds().swap_remove(0), |description| {
        let Value::Object(alphabet) = &mut description["alphabet"] else {
            panic!("no alphabet");
        };
        alphabet["chars"] = json!("abc");
        for field in ["size", "start", "end"] {
            let number = alphabet[field].as_u64().unwrap();
            alphabet[field] = json!(number + 1);
        }
    });
    let error = load(&changed).unwrap().network().unwrap_err().to_string();
    assert!(error.contains("embedding.weight"), "{error}");
}

#[test]
fn tensors_of_another_type_or_size_are_refused() {
    let checkpoint = load(&seeds().swap_remove(0)).unwrap();
    let with = |name: &str, dims: &[usize], dtype| {
        let mut changed = checkpoint.clone();
        let tensor = Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
        changed.tensors.insert(name.to_owned(), tensor);
        load(&changed.to_bytes().unwrap()).unwrap_err()
    };
    for (name, dims, dtype) in [
        ("head.bias", &[3][..], DType::F64),
        ("optimizer.mean", &[3], DType::F32),
        (WEIGHTS, &[1, 1], DType::F32),
        (STATE, &[2, 2, 4, 2], DType::F32),
    ] {
        let error = with(name, dims, dtype);
        assert!(error.contains(name), "{error}");
    }
}
