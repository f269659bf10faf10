//! Training of the same network in candle-nn and in burn, measured as `charlet bench train` measures its own.

mod in_burn;
mod in_candle;

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, ensure};
use clap::{Parser, ValueEnum};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

/// Values that stand for a character.
const EMBEDDING: usize = 32;
const LEARNING_RATE: f64 = 0.003;
const WEIGHT_DECAY: f32 = 0.01;

/// Characters per second that a framework learns, as JSON
///
/// On as many threads as RAYON_NUM_THREADS says, or as the machine has.
#[derive(Parser)]
struct Args {
    framework: Framework,
    /// So many tokens, hidden units, layers, lines in a batch, and characters in a line
    #[arg(long, value_name = "VOCAB,HIDDEN,LAYERS,BATCH,WINDOW")]
    shape: Shape,
    /// How long to measure, or two steps
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Framework {
    CandleNn,
    Burn,
}

/// The sizes of a network and of what it learns at once.
#[derive(Clone, Copy)]
struct Shape {
    vocab: usize,
    hidden: usize,
    layers: usize,
    batch: usize,
    window: usize,
}

/// Random characters and those that are to follow them, line by line.
struct Batch {
    inputs: Vec<u32>,
    targets: Vec<u32>,
}

/// A training step on always the same batch: gives the loss before it, in nats per character.
type Step = Box<dyn FnMut() -> Result<f32>>;

fn main() -> Result<()> {
    let args = Args::parse();
    verify(args.framework)?;
    let rate = chars_per_second(args.framework, args.shape, args.seconds)?;
    let report = json!({ "framework": args.framework.name()?, "chars_per_second": rate });
    println!("{report}");
    Ok(())
}

impl Shape {
    /// What a layer reads of every character.
    fn input(self, layer: usize) -> usize {
        if layer == 0 { EMBEDDING } else { self.hidden }
    }
}

impl Framework {
    fn step(self, shape: Shape) -> Result<Step> {
        let batch = Batch::random(shape);
        match self {
            Self::CandleNn => in_candle::step(shape, &batch),
            Self::Burn => in_burn::step(shape, &batch),
        }
    }

    /// With the version that was built.
    fn name(self) -> Result<String> {
        let (name, backend) = match self {
            Self::CandleNn => ("candle-nn", ""),
            Self::Burn => ("burn", " flex"),
        };
        let (_, package) = include_str!("../Cargo.lock")
            .split_once(&format!("name = \"{name}\"\nversion = \""))
            .context("a framework that isn't locked")?;
        let version = package.split('"').next().unwrap_or_default();
        Ok(format!("{name} {version}{backend}"))
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let sizes: Vec<usize> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
        ensure!(!sizes.contains(&0), "sizes are at least 1");
        let [vocab, hidden, layers, batch, window] = sizes[..] else {
            anyhow::bail!("five sizes, such as 56,128,1,128,10");
        };
        Ok(Self {
            vocab,
            hidden,
            layers,
            batch,
            window,
        })
    }
}

impl Batch {
    fn random(shape: Shape) -> Self {
        let mut random = StdRng::seed_from_u64(1);
        let mut tokens = || {
            let token = |_| random.random_range(0..shape.vocab as u32);
            (0..shape.batch * shape.window).map(token).collect()
        };
        Self {
            inputs: tokens(),
            targets: tokens(),
        }
    }
}

/// Makes sure that the steps are training: a batch of random characters is soon known by heart, while a
/// network that learns nothing stays at the logarithm of the vocabulary.
fn verify(framework: Framework) -> Result<()> {
    const STEPS: usize = 100;
    let shape = Shape {
        vocab: 16,
        hidden: 32,
        layers: 2,
        batch: 4,
        window: 8,
    };
    let mut step = framework.step(shape)?;
    for _ in 0..STEPS {
        step()?;
    }
    let (loss, nothing_learnt) = (step()?, (shape.vocab as f32).ln());
    ensure!(
        loss < nothing_learnt / 2.0,
        "{STEPS} steps left the loss at {loss}, from {nothing_learnt}"
    );
    Ok(())
}

/// At the median of at least two steps, after one to warm up.
fn chars_per_second(framework: Framework, shape: Shape, seconds: f64) -> Result<f64> {
    let mut step = framework.step(shape)?;
    step()?;
    let (start, mut times) = (Instant::now(), Vec::<Duration>::new());
    while times.len() < 2 || start.elapsed().as_secs_f64() < seconds {
        let before = Instant::now();
        step()?;
        times.push(before.elapsed());
    }
    times.sort();
    let median = times[times.len() / 2].as_secs_f64();
    Ok((shape.batch * shape.window) as f64 / median)
}
