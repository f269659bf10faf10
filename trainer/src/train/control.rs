//! Controls a training from outside: save, sample, stop.

use std::sync::atomic::{AtomicBool, Ordering};

/// A request to a training under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Save a checkpoint.
    Save,
    /// Print a sample.
    Sample,
    /// Save and stop.
    Stop,
}

/// Pending requests, shared between the training and signal handlers or keys.
#[derive(Debug, Default)]
pub struct Control {
    save: AtomicBool,
    sample: AtomicBool,
    stop: AtomicBool,
    has_begun: AtomicBool,
}

impl Control {
    fn of(&self, request: Request) -> &AtomicBool {
        match request {
            Request::Save => &self.save,
            Request::Sample => &self.sample,
            Request::Stop => &self.stop,
        }
    }

    /// Adds a request; returns whether it was pending already.
    pub fn add(&self, request: Request) -> bool {
        self.of(request).swap(true, Ordering::Relaxed)
    }

    /// From now on there is something to save before the end.
    pub fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// Whether there is something to save before the end.
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }
}

/// What a training asks for requests.
pub trait Requests: Sync {
    /// The next request. Asked before each batch, until there is none.
    fn next(&self) -> Option<Request>;

    /// Whether the training is to stop. Asked within long work, which does nothing else.
    fn is_stopping(&self) -> bool {
        false
    }
}

impl<F: Fn() -> Option<Request> + Sync> Requests for F {
    fn next(&self) -> Option<Request> {
        self()
    }
}

impl Requests for Control {
    /// Stopping comes last, and stays pending.
    fn next(&self) -> Option<Request> {
        let once = [Request::Save, Request::Sample];
        let mut wanted = once.into_iter();
        let wanted = wanted.find(|&request| self.of(request).swap(false, Ordering::Relaxed));
        wanted.or_else(|| self.is_stopping().then_some(Request::Stop))
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_done_once_and_stopping_last() {
        let control = Control::default();
        assert_eq!(control.next(), None);
        assert!(!control.add(Request::Stop));
        assert!(!control.add(Request::Sample));
        assert!(control.add(Request::Sample));
        assert!(!control.add(Request::Save));
        assert_eq!(control.next(), Some(Request::Save));
        assert_eq!(control.next(), Some(Request::Sample));
        assert_eq!(control.next(), Some(Request::Stop));
        assert_eq!(control.next(), Some(Request::Stop));
        assert!(control.add(Request::Stop));
    }
}
