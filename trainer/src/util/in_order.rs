//! Work on several threads, whose results are taken in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::stop::IsStopping;

/// Inputs for each thread that are worked on, or wait for it or to be taken: they are all that is in memory.
const WINDOW: usize = 3;

/// The longest time without a look at what else there is.
const PATIENCE: Duration = Duration::from_millis(100);

/// Works on inputs as they arrive, on so many threads, and takes the results in the order of the inputs. In
/// between `take` gets `None`, a few times a second.
///
/// # Errors
/// The first that `take` has; `work` is then told that it is to stop.
pub fn in_order<T: Send, R: Send>(
    threads: usize,
    inputs: &Receiver<T>,
    work: impl Fn(T, IsStopping<'_>) -> R + Sync,
    mut take: impl FnMut(Option<R>) -> Result<()>,
) -> Result<()> {
    let is_over = AtomicBool::new(false);
    let (jobs, queue) = channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((input, result)) = next_job(&queue) {
                    let result: Sender<R> = result;
                    // Nobody waits for it after an error.
                    let _ = result.send(work(input, &|| is_over.load(Ordering::Relaxed)));
                }
            });
        }
        let result = dispatch(threads * WINDOW, inputs, &jobs, &mut take);
        is_over.store(true, Ordering::Relaxed);
        // The threads end with what they wait for.
        drop(jobs);
        result
    })
}

/// An input, and where its result goes.
type Job<T, R> = (T, Sender<R>);

fn next_job<T, R>(queue: &Mutex<Receiver<Job<T, R>>>) -> Option<Job<T, R>> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}

/// Hands inputs out, and takes the results of the oldest.
fn dispatch<T, R>(
    most: usize,
    inputs: &Receiver<T>,
    jobs: &Sender<Job<T, R>>,
    take: &mut impl FnMut(Option<R>) -> Result<()>,
) -> Result<()> {
    let mut results = VecDeque::new();
    loop {
        while results.len() < most {
            let input = if results.is_empty() {
                inputs.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                inputs.try_recv()
            };
            let Ok(input) = input else {
                break;
            };
            let (sender, result) = channel();
            results.push_back(result);
            // The threads are there as long as this sender is.
            let _ = jobs.send((input, sender));
        }
        let Some(oldest) = results.pop_front() else {
            return Ok(());
        };
        loop {
            match oldest.recv_timeout(PATIENCE) {
                Ok(result) => break take(Some(result))?,
                Err(RecvTimeoutError::Timeout) => take(None)?,
                // A thread has panicked, which ends the scope as well.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn numbers(count: usize) -> Receiver<usize> {
        let (sender, inputs) = channel();
        (0..count).for_each(|number| sender.send(number).unwrap());
        inputs
    }

    #[test]
    fn results_come_in_the_order_of_the_inputs() {
        for threads in [1, 2, 5] {
            let mut taken = Vec::new();
            let work = |number: usize, _: IsStopping<'_>| {
                // The first take longest.
                thread::sleep(Duration::from_micros(300 / (1 + number as u64 % 7)));
                2 * number
            };
            in_order(threads, &numbers(100), work, |result| {
                taken.extend(result);
                Ok(())
            })
            .unwrap();
            assert!(taken.into_iter().eq((0..100).map(|number| 2 * number)));
        }
    }

    #[test]
    fn an_input_is_worked_on_before_the_next_arrives() {
        let (sender, inputs) = sync_channel(0);
        let mut taken = 0;
        sender.try_send(0).unwrap_err();
        thread::scope(|scope| {
            let (answer, answers) = channel();
            scope.spawn(move || {
                for number in 0..3 {
                    sender.send(number).unwrap();
                    assert_eq!(answers.recv(), Ok(number));
                }
            });
            in_order(
                2,
                &inputs,
                |number, _| number,
                |result| {
                    if let Some(number) = result {
                        answer.send(number)?;
                        taken += 1;
                    }
                    Ok(())
                },
            )
            .unwrap();
        });
        assert_eq!(taken, 3);
    }

    #[test]
    fn an_error_stops_the_work_on_all_threads() {
        let work = |number: usize, is_stopping: IsStopping<'_>| {
            while number > 0 && !is_stopping() {
                thread::sleep(Duration::from_millis(1));
            }
            number
        };
        let mut taken = Vec::new();
        let result = in_order(2, &numbers(100), work, |result| {
            taken.extend(result);
            // The second result never comes.
            anyhow::ensure!(result.is_some(), "impatient");
            Ok(())
        });
        assert_eq!(result.unwrap_err().to_string(), "impatient");
        assert_eq!(taken, [0]);
    }
}
