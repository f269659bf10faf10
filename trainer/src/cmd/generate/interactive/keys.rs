//! Keys of interactive mode.

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    /// Makes the temperature higher or lower.
    Warmer,
    Cooler,
    Faster,
    Slower,
    Pause,
    /// Ends the text.
    Stop,
    /// Ends the session.
    Leave,
}

impl Action {
    /// The action of a key; nothing for other keys and events.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let Event::Key(key) = event else {
            return None;
        };
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            let leaves = matches!(key.code, KeyCode::Char('c' | 'd'));
            return leaves.then_some(Self::Leave);
        }
        Some(match key.code {
            KeyCode::Up | KeyCode::Char('+' | '=') => Self::Warmer,
            KeyCode::Down | KeyCode::Char('-') => Self::Cooler,
            KeyCode::Right => Self::Faster,
            KeyCode::Left => Self::Slower,
            KeyCode::Char(' ') => Self::Pause,
            KeyCode::Enter | KeyCode::Esc => Self::Stop,
            _ => return None,
        })
    }
}

/// A tenth warmer or cooler, from 0.1 to 5.
pub(super) fn changed(temperature: f32, action: Action) -> f32 {
    let tenths = (temperature * 10.0).round();
    let tenths = match action {
        Action::Warmer => tenths + 1.0,
        Action::Cooler => tenths - 1.0,
        _ => tenths,
    };
    tenths.clamp(1.0, 50.0) / 10.0
}

/// Half as fast again or two thirds as fast, from 1 to 10,000 characters in a second.
pub(super) fn paced(pace: f64, action: Action) -> f64 {
    let pace = match action {
        Action::Faster => pace * 1.5,
        Action::Slower => pace / 1.5,
        _ => pace,
    };
    pace.clamp(1.0, 1e4)
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_do_what_the_help_says() {
        let action = |code, modifiers| Action::of(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |code| action(code, KeyModifiers::NONE);
        assert_eq!(plain(KeyCode::Up), Some(Action::Warmer));
        assert_eq!(plain(KeyCode::Char('-')), Some(Action::Cooler));
        assert_eq!(plain(KeyCode::Char('c')), None);
        let control = |char| action(KeyCode::Char(char), KeyModifiers::CONTROL);
        assert_eq!([control('c'), control('d')], [Some(Action::Leave); 2]);
        assert_eq!(control('-'), None);
        assert_eq!(Action::of(&Event::Resize(80, 24)), None);
    }

    #[test]
    fn temperatures_go_by_tenths_and_stay_possible() {
        assert_eq!(changed(0.8, Action::Warmer), 0.9);
        assert_eq!(changed(0.75, Action::Cooler), 0.7);
        assert_eq!(changed(0.1, Action::Cooler), 0.1);
        assert_eq!(changed(5.0, Action::Warmer), 5.0);
        assert_eq!(paced(60.0, Action::Faster), 90.0);
        assert_eq!(paced(1.0, Action::Slower), 1.0);
    }
}
