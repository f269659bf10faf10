//! Prints what the WebAssembly module must give, computed by this machine.

fn main() {
    println!(
        "{:016x} {:016x}",
        web_example::float_hash(),
        web_example::integer_hash()
    );
}
