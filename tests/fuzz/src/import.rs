use charlet_trainer::export::exported::Exported;
use charlet_trainer::export::onnx::onnx_file;
use charlet_trainer::import::{self, Mapping, Marks, Names, Tokens};
use hdf5_pure::FileBuilder;

use super::file::with_file;
use super::model;

/// Reads the file as a network of another program, and makes one of ours of it.
pub fn check(bytes: &[u8]) {
    let read = with_file(bytes, |path| import::read(path, &Mapping::default()));
    let Ok(foreign) = read else {
        return;
    };
    let count = foreign.tokens();
    // Narrow layers beside wide ones are filled up, which the command refuses where memory is short.
    if count > 64 || foreign.layers.iter().any(|layer| layer.bias.len() > 4 * 64) {
        return;
    }
    let chars: String = ('!'..).take(count).collect();
    let names = Names::read(&chars).expect("characters");
    if let Ok(tokens) = Tokens::new(names, count, &Marks::default()) {
        let _ = foreign.network(&tokens);
    }
}

/// What to begin with: files of PyTorch, and small ones as Keras and ONNX have them.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../import/one_hot.safetensors").to_vec(),
        include_bytes!("../../import/no_bias.pt").to_vec(),
        keras(),
        onnx(),
    ]
}

/// Weights of Keras without settings: an LSTM of 2 units for 3 characters.
fn keras() -> Vec<u8> {
    let mut file = FileBuilder::new();
    let lstm: &[(&str, &[u64])] = &[
        ("kernel", &[3, 8]),
        ("recurrent_kernel", &[2, 8]),
        ("bias", &[8]),
    ];
    let dense: &[(&str, &[u64])] = &[("kernel", &[2, 3]), ("bias", &[3])];
    for (layer, weights) in [("lstm", lstm), ("dense", dense)] {
        let mut group = file.create_group(layer);
        for (name, dims) in weights {
            let count: u64 = dims.iter().product();
            let numbers: Vec<f32> = (0..count).map(|at| at as f32 / 8.0 - 1.0).collect();
            let data = group.create_dataset(name);
            data.with_f32_data(&numbers).with_shape(dims);
        }
        file.add_group(group.finish());
    }
    file.finish().expect("a small file")
}

/// A small model of ours, exported.
fn onnx() -> Vec<u8> {
    let file = model::seeds().swap_remove(0);
    let exported = Exported::of_model(&file).expect("a model");
    onnx_file(&exported).expect("a small network")
}
