//! Observers of a training: logs and displays. Heavy displays are cargo features.

pub mod compare;
pub mod fan_out;
#[cfg(feature = "html")]
pub mod html;
pub mod jsonl;
#[cfg(feature = "plot")]
pub mod plot;
pub mod progress_bar;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
#[cfg(feature = "tui")]
pub mod tui;

use anyhow::{Result, ensure};

use self::fan_out::FanOut;
use self::jsonl::JsonLines;
use crate::config::Config;
use crate::train::observer::Observer;

/// All that a run writes about itself as configured, and a display. The logs come first: the others
/// read what is in them.
///
/// # Errors
/// If the settings ask for what this program was built without.
pub fn observers<'o>(config: &Config, display: Box<dyn Observer + 'o>) -> Result<FanOut<'o>> {
    let wants_events = config.training.tensorboard;
    ensure!(
        !wants_events || cfg!(feature = "tensorboard"),
        "the settings have tensorboard = true, and this charlet was built without it: build it with \
         --features tensorboard"
    );
    let all = FanOut::default().and(Box::new(JsonLines::default()));
    #[cfg(feature = "tensorboard")]
    let all = if wants_events {
        all.and(Box::new(tensorboard::EventFiles::default()))
    } else {
        all
    };
    let all = all.and(display);
    #[cfg(feature = "html")]
    let all = all.and(Box::new(html::HtmlReport::default()));
    Ok(all)
}
