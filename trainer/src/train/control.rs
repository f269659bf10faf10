//! What somebody wants of a training under way.

use std::sync::atomic::{AtomicBool, Ordering};

/// What somebody can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Save the run as it is.
    Save,
    /// Let the model speak.
    Sample,
    /// Save and stop.
    Stop,
}

/// What is wanted and was not done yet; shared by those who ask and the training.
#[derive(Debug, Default)]
pub struct Requests {
    save: AtomicBool,
    sample: AtomicBool,
    stop: AtomicBool,
}

impl Requests {
    fn of(&self, request: Request) -> &AtomicBool {
        match request {
            Request::Save => &self.save,
            Request::Sample => &self.sample,
            Request::Stop => &self.stop,
        }
    }

    /// Asks for something; tells whether it was wanted already.
    pub fn add(&self, request: Request) -> bool {
        self.of(request).swap(true, Ordering::Relaxed)
    }

    /// What is to be done now. Stopping comes last, and stays.
    pub fn next(&self) -> Option<Request> {
        let once = [Request::Save, Request::Sample];
        let mut wanted = once.into_iter();
        let wanted = wanted.find(|&request| self.of(request).swap(false, Ordering::Relaxed));
        let is_over = self.stop.load(Ordering::Relaxed);
        wanted.or_else(|| is_over.then_some(Request::Stop))
    }
}

/// Asked before each batch, until nothing more is wanted.
pub type Ask<'s> = &'s (dyn Fn() -> Option<Request> + Sync);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_done_once_and_stopping_last() {
        let requests = Requests::default();
        assert_eq!(requests.next(), None);
        assert!(!requests.add(Request::Stop));
        assert!(!requests.add(Request::Sample));
        assert!(requests.add(Request::Sample));
        assert!(!requests.add(Request::Save));
        assert_eq!(requests.next(), Some(Request::Save));
        assert_eq!(requests.next(), Some(Request::Sample));
        assert_eq!(requests.next(), Some(Request::Stop));
        assert_eq!(requests.next(), Some(Request::Stop));
        assert!(requests.add(Request::Stop));
    }
}
