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

    /// The next request. Stopping comes last, and stays pending.
    pub fn next(&self) -> Option<Request> {
        let once = [Request::Save, Request::Sample];
        let mut wanted = once.into_iter();
        let wanted = wanted.find(|&request| self.of(request).swap(false, Ordering::Relaxed));
        let is_over = self.stop.load(Ordering::Relaxed);
        wanted.or_else(|| is_over.then_some(Request::Stop))
    }
}

/// Called before each batch until it returns `None`.
pub type NextRequest<'s> = &'s (dyn Fn() -> Option<Request> + Sync);

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
