//! `charlet bench train`

use std::collections::BTreeMap;
use std::io::Write;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use charlet_trainer::config::{Config, DeviceKind, Mode};
use charlet_trainer::data::batch::Batch;
use charlet_trainer::model::device::device;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::optim::optimizer::Optimizer;
use charlet_trainer::train::need::of_training;
use charlet_trainer::train::step::TrainStep;
use charlet_trainer::util::memory::available;
use charlet_trainer::util::rng::Streams;
use charlet_trainer::util::style::Styles;
use clap::Parser;
use serde::Serialize;

use super::super::threads::Threads;
use super::{numbers, seconds, shape};

/// Floating-point operations per weight and character: a product and a sum, forward, for the gradient of
/// the input, and for that of the weight.
const FLOPS: f64 = 6.0;

/// Measure training: forward, backward, gradient clipping, optimizer
///
/// Trains in f32 on random characters, in lines of equal length. A
/// large matrix multiplication is timed for comparison.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet bench train
  charlet bench train --shape 56,128,1,32,7 --json | jq '.results[] | .chars_per_second'
  charlet bench train --device cuda

JSON: one object with `device`, `threads` and `results`:
  vocab_size, hidden_size, layers, batch, window
  chars_per_second  characters per second, median of all steps
  gflops            GFLOP/s: 6 operations per weight and character; the embedding and the first
                    layer's input weights are looked up and don't count
  matmul_gflops     GFLOP/s of a large matrix multiplication
  share_of_matmul   gflops / matmul_gflops
  step_ms           wall-clock milliseconds per step
  optimizer_ms      of these, in the optimizer
  forward_ms, backward_ms
                    milliseconds per stage, summed over all threads; 0 on a GPU
  peak_bytes        peak memory of the process; null except on Linux")]
pub(crate) struct Args {
    /// Vocabulary size, hidden size, layers, lines per batch, characters per line
    #[arg(
        long = "shape",
        value_name = "VOCAB,HIDDEN,LAYERS,BATCH,WINDOW",
        default_values = ["56,128,1,128,10", "65,128,2,50,50", "60,512,2,128,20", "42,700,3,128,100"]
    )]
    shapes: Vec<TrainingShape>,
    /// Duration per shape; at least two steps are measured
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Device to train on
    #[arg(long, default_value = "cpu")]
    device: DeviceKind,
    #[command(flatten)]
    threads: Threads,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The sizes of a network and of what it learns at once.
#[derive(Clone, Copy, Debug)]
struct TrainingShape {
    network: Shape,
    batch: usize,
    window: usize,
}

impl FromStr for TrainingShape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        const MOST: usize = 4096;
        let [vocab_size, hidden_size, num_layers, batch, window] =
            numbers(text, "56,128,1,128,10")?;
        ensure!(
            (1..=MOST).contains(&batch) && (1..=MOST).contains(&window),
            "1 to {MOST} lines of 1 to {MOST} characters will do"
        );
        Ok(Self {
            network: shape(vocab_size, hidden_size, num_layers)?,
            batch,
            window,
        })
    }
}

/// All that was measured.
#[derive(Serialize)]
struct Report {
    device: DeviceKind,
    threads: usize,
    results: Vec<Measurement>,
}

/// Training steps of a shape.
#[derive(Serialize)]
struct Measurement {
    vocab_size: usize,
    hidden_size: usize,
    layers: usize,
    batch: usize,
    window: usize,
    chars_per_second: f64,
    gflops: f64,
    matmul_gflops: f64,
    share_of_matmul: f64,
    step_ms: f64,
    optimizer_ms: f64,
    forward_ms: BTreeMap<&'static str, f64>,
    backward_ms: BTreeMap<&'static str, f64>,
    peak_bytes: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    args.threads.start()?;
    if args.device == DeviceKind::Cpu {
        for &TrainingShape {
            network,
            batch,
            window,
        } in &args.shapes
        {
            let rows = (batch * window) as f64;
            of_training(network, rows, batch as f64, false).check(available())?;
        }
    }
    // On the pool's own threads, as in a training.
    rayon::scope(|_| run_in_pool(args))
}

fn run_in_pool(args: &Args) -> Result<()> {
    let device = device(args.device)?;
    let mut report = Report {
        device: args.device,
        threads: rayon::current_num_threads(),
        results: Vec::new(),
    };
    let mut out = std::io::stdout();
    if !args.json {
        head(&mut out, &report)?;
    }
    for shape in &args.shapes {
        let measurement = measure(shape, &device, args.seconds)?;
        if !args.json {
            row(&mut out, &measurement)?;
        }
        report.results.push(measurement);
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    }
    Ok(())
}

/// Learns from a random batch for so many seconds, after one step to warm up.
fn measure(shape: &TrainingShape, device: &Device, seconds: f64) -> Result<Measurement> {
    forget_peak();
    let network = Network::new(shape.network, &mut Streams::new(1).weights, device)?;
    let config = Config::defaults(Mode::Text).optimizer;
    let rate = config.learning_rate;
    let mut optimizer = Optimizer::new(config, &network)?;
    let batch = random_batch(shape);
    let state = network.zero_state(shape.batch)?;
    let mut learn = || TrainStep::on_batch(&network, &mut optimizer, &batch, &state, None, rate);
    learn()?;
    network.take_profile();
    let before = matmul_gflops(device)?;
    let mut updates = Vec::new();
    let start = Instant::now();
    while updates.len() < 2 || start.elapsed().as_secs_f64() < seconds {
        updates.push(learn()?);
    }
    let profile = network.take_profile();
    let matmul_gflops = matmul_gflops(device)?.max(before);

    let median = |time: fn(&TrainStep) -> Duration| {
        let mut times: Vec<Duration> = updates.iter().map(time).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let step = median(|update| update.network + update.optimizer);
    let chars_per_second = (shape.batch * shape.window) as f64 / step;
    let gflops = FLOPS * shape.network.macs_per_char() as f64 * chars_per_second / 1e9;
    let per_step = |(name, time): (&'static str, Duration)| {
        (name, 1e3 * time.as_secs_f64() / updates.len() as f64)
    };
    Ok(Measurement {
        vocab_size: shape.network.vocab_size,
        hidden_size: shape.network.hidden_size,
        layers: shape.network.num_layers,
        batch: shape.batch,
        window: shape.window,
        chars_per_second,
        gflops,
        matmul_gflops,
        share_of_matmul: gflops / matmul_gflops,
        step_ms: 1e3 * step,
        optimizer_ms: 1e3 * median(|update| update.optimizer),
        forward_ms: profile.forward().map(per_step).collect(),
        backward_ms: profile.backward().map(per_step).collect(),
        peak_bytes: peak_bytes(),
    })
}

/// Lines of random characters, all of the same length.
fn random_batch(shape: &TrainingShape) -> Batch {
    let mut random = Streams::new(2).order;
    let mut tokens = || -> Vec<u32> {
        let token = |_| random.below(shape.network.vocab_size) as u32;
        (0..shape.window).map(token).collect()
    };
    let lines: Vec<_> = (0..shape.batch).map(|_| (tokens(), tokens())).collect();
    Batch::new(&lines, false)
}

/// Gigaflops of a large matrix multiplication by the tensor library on all that the device has: the best of
/// several.
fn matmul_gflops(device: &Device) -> Result<f64> {
    const RUNS: usize = 5;
    // What keeps a processor busy for a while is over on a GPU before it has begun.
    let side = if device.is_cpu() { 1024 } else { 8192 };
    let [left, right] = [1.0f32, 0.5].map(|value| Tensor::full(value, (side, side), device));
    let (left, right) = (left?, right?);
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        device.synchronize()?;
        let start = Instant::now();
        left.matmul(&right)?;
        device.synchronize()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * (side as f64).powi(3) / best / 1e9)
}

/// Lets the kernel count the most memory held from here on, so that a shape doesn't see those before it.
/// Where it can't, the figure is that of all shapes so far.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak memory of the process; Linux only.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

/// The head of the table for people: rows appear as they are measured.
fn head(out: &mut std::io::Stdout, report: &Report) -> Result<()> {
    let bold = Styles::of_stdout().heading();
    let Report {
        device, threads, ..
    } = report;
    writeln!(
        out,
        "{device:?}, {threads} threads, single precision; of matmul: against a large matrix multiplication \
         there; forward and back: ms of all threads"
    )?;
    writeln!(
        out,
        "{bold}{:20}  {:>10}  {:>8}  {:>9}  {:>9}  {:>9}  {:>9}{bold:#}",
        "shape", "char/s", "GFLOP/s", "of matmul", "step", "optimizer", "memory",
    )?;
    Ok(())
}

fn row(out: &mut std::io::Stdout, measurement: &Measurement) -> Result<()> {
    let Measurement {
        vocab_size,
        hidden_size,
        layers,
        batch,
        window,
        ..
    } = measurement;
    let memory = measurement.peak_bytes;
    writeln!(
        out,
        "{:20}  {:>10.0}  {:>8.1}  {:>8.0}%  {:>6.1} ms  {:>6.1} ms  {:>9}",
        format!("{vocab_size},{hidden_size},{layers},{batch},{window}"),
        measurement.chars_per_second,
        measurement.gflops,
        100.0 * measurement.share_of_matmul,
        measurement.step_ms,
        measurement.optimizer_ms,
        memory.map_or("?".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000)),
    )?;
    for (way, profile) in [
        ("forward", &measurement.forward_ms),
        ("back", &measurement.backward_ms),
    ] {
        let profile = profile.iter().filter(|(_, ms)| **ms > 0.0);
        let profile: Vec<String> = profile
            .map(|(name, ms)| format!("{name} {ms:.1}"))
            .collect();
        writeln!(out, "  {way:7}  {}", profile.join(", "))?;
    }
    Ok(())
}
