//! Event files as TensorBoard reads them: records of length, checksums and a protobuf `Event`.

mod protobuf;

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use crc::{CRC_32_ISCSI, Crc};

use self::protobuf::{event, restart, scalar, summary, text, version};
use crate::inference::sample::Sample;
use crate::train::metrics::{EpochMetrics, StepMetrics};
use crate::train::observer::{EpochEnd, Observer, ProgressSnapshot, Start, Task};
use crate::util::run_dir::{EVENT_FILE_PREFIX, EVENT_FILE_SUFFIX};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Writes what TensorBoard shows.
#[derive(Debug, Default)]
pub struct EventFiles(Option<EventFile>);

impl Observer for EventFiles {
    fn begin(&mut self, task: &Task<'_>, start: &Start) -> Result<()> {
        let folder = task.folder.tensorboard();
        self.0 = Some(EventFile::create(&folder, start.now.step)?);
        Ok(())
    }

    fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| file.steps(metrics))
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        let Some(file) = &mut self.0 else {
            return Ok(());
        };
        file.epoch(end.metrics)?;
        let sample = end.sample;
        sample.map_or(Ok(()), |sample| file.sample(end.metrics.steps, sample))
    }

    fn sample(&mut self, step: usize, sample: &Sample) -> Result<()> {
        let file = self.0.as_mut();
        file.map_or(Ok(()), |file| file.sample(step, sample))
    }

    fn rollback(&mut self, to: &ProgressSnapshot) -> Result<()> {
        self.0
            .as_mut()
            .map_or(Ok(()), |file| file.rollback(to.step))
    }
}

/// An event file of a run. Each process has its own, as TensorBoard expects.
#[derive(Debug)]
struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Begins a file in this folder, of a run that has made so many updates. TensorBoard forgets
    /// what older files say about later ones.
    fn create(folder: &Path, steps: usize) -> Result<Self> {
        let shown = folder.display();
        create_dir_all(folder).with_context(|| format!("can't make the folder {shown}"))?;
        let (path, file) =
            create_newest(folder).with_context(|| format!("can't write into {shown}"))?;
        let mut events = Self { path, file };
        events.add(&event(now(), 0, &version()))?;
        if steps > 0 {
            events.rollback(steps)?;
        }
        Ok(events)
    }

    /// Takes back what was said of later updates.
    fn rollback(&mut self, steps: usize) -> Result<()> {
        self.add(&event(now(), steps + 1, &restart()))
    }

    /// Adds what some updates brought.
    fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        let values = [
            ("loss/train", metrics.train_nats_per_char),
            ("learning_rate", metrics.learning_rate),
            ("gradient_norm", metrics.gradient_norm),
            ("chars_per_second", metrics.chars_per_second),
        ];
        let values = values.map(|(tag, value)| scalar(tag, value));
        self.add(&event(now(), metrics.step, &summary(&values)))
    }

    /// Adds what an epoch brought.
    fn epoch(&mut self, metrics: &EpochMetrics) -> Result<()> {
        let value = scalar("loss/held_out", metrics.validation_nats_per_char);
        self.add(&event(now(), metrics.steps, &summary(&[value])))
    }

    /// Adds samples.
    fn sample(&mut self, step: usize, sample: &Sample) -> Result<()> {
        let values = sample.texts.iter().map(|sample| {
            let tag = format!("sample/temperature {:.1}", sample.temperature);
            // Shown as Markdown, where an indented text stays as it is.
            text(
                &tag,
                &format!("    {}", sample.text.replace('\n', "\n    ")),
            )
        });
        self.add(&event(now(), step, &summary(&values.collect::<Vec<_>>())))
    }

    fn add(&mut self, event: &[u8]) -> Result<()> {
        let written = self.file.write_all(&record(event));
        written.with_context(|| format!("can't write {}", self.path.display()))
    }
}

/// A file whose name sorts behind those that are there, since TensorBoard reads them in that order.
fn create_newest(folder: &Path) -> std::io::Result<(PathBuf, File)> {
    let mut second = now() as u64;
    loop {
        let path = folder.join(format!(
            "{EVENT_FILE_PREFIX}{second:010}{EVENT_FILE_SUFFIX}"
        ));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => second += 1,
            opened => return Ok((path, opened?)),
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// A record: the length with its checksum, and the bytes with theirs.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length));
    record.extend(bytes);
    record.extend(masked_crc(bytes));
    record
}

/// CRC-32C, masked as in all of TensorFlow's records: the checksum of bytes that end with their own
/// checksum is meaningless.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    let crc = CRC32C.checksum(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of every event file that TensorFlow writes: a version takes 24 bytes.
    #[test]
    fn a_record_is_that_of_tensorflow() {
        let record = record(&event(0.0, 0, &version()));
        assert_eq!(record[..8], 24u64.to_le_bytes());
        assert_eq!(record[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(record.len(), 8 + 4 + 24 + 4);
    }

    #[test]
    fn files_of_the_same_second_are_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let first = EventFile::create(folder.path(), 0).unwrap();
        let second = EventFile::create(folder.path(), 9).unwrap();
        assert!(first.path < second.path);
    }
}
