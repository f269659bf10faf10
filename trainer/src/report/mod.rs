//! Who is told of a training: its logs, and displays of all kinds.

pub mod compare;
pub mod fan_out;
pub mod html;
pub mod jsonl;
pub mod plot;
pub mod progress_bar;
pub mod tensorboard;
pub mod tui;

use self::fan_out::FanOut;
use self::html::HtmlReport;
use self::jsonl::JsonLines;
use self::tensorboard::EventFiles;
use crate::config::Config;
use crate::train::observer::Observer;

/// All that a run writes about itself as configured, and a display. The logs come first: the others
/// read what is in them.
pub fn observers<'o>(config: &Config, display: Box<dyn Observer + 'o>) -> FanOut<'o> {
    let mut all = FanOut::default().and(Box::new(JsonLines::default()));
    if config.training.tensorboard {
        all = all.and(Box::new(EventFiles::default()));
    }
    all.and(display).and(Box::new(HtmlReport::default()))
}
