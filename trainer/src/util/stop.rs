//! Long work asks now and then whether it is to stop.

/// Whether the work is to stop.
pub type IsStopping<'s> = &'s (dyn Fn() -> bool + Sync);

/// The error of work that was stopped on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped on request")
    }
}

impl std::error::Error for Stopped {}

/// Goes on unless the work is to stop.
///
/// # Errors
/// If it is to stop.
pub fn unless(is_stopping: IsStopping<'_>) -> Result<(), Stopped> {
    if is_stopping() { Err(Stopped) } else { Ok(()) }
}

/// For work that nobody stops.
pub fn never() -> bool {
    false
}
