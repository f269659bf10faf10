//! Pointers of C: looked at once, then references.

use core::ffi::c_char;
use core::fmt;
use core::mem::MaybeUninit;
use core::slice;

use runtime::is_utf8;

use crate::error::charlet_error::{self, *};

/// A value in memory of C, behind a mark that tells whether it is there: memory of zeros has none.
#[repr(C)]
pub(crate) struct Slot<T> {
    mark: u32,
    value: MaybeUninit<T>,
}

const MARK: u32 = u32::from_le_bytes(*b"char");

impl<T> Slot<T> {
    /// One that is there from the start.
    #[cfg(feature = "builtin")]
    pub(crate) const fn new(value: T) -> Self {
        Self {
            mark: MARK,
            value: MaybeUninit::new(value),
        }
    }

    /// # Safety
    /// `slot` is memory of its size and alignment, or NULL.
    pub(crate) unsafe fn write(slot: *mut Self, value: T) -> Result<(), charlet_error> {
        if slot.is_null() {
            return Err(CHARLET_NULL);
        }
        // SAFETY: the caller promises it; what was there before needs no dropping. Piece by piece, so that no
        // second copy is made of it.
        unsafe {
            (&raw mut (*slot).value).cast::<T>().write(value);
            (&raw mut (*slot).mark).write(MARK);
        }
        Ok(())
    }

    /// Nothing is there any more.
    ///
    /// # Safety
    /// As for `write`.
    pub(crate) unsafe fn clear(slot: *mut Self) {
        if !slot.is_null() {
            // SAFETY: the caller promises it.
            unsafe { (&raw mut (*slot).mark).write(0) };
        }
    }

    /// # Safety
    /// As for `write`; all of it was written to, by C or by `write`, and nothing else uses it meanwhile.
    pub(crate) unsafe fn get<'a>(slot: *mut Self) -> Result<&'a mut T, charlet_error> {
        // SAFETY: the caller promises it.
        unsafe { Self::find(slot) }?;
        // SAFETY: only `write` sets the mark.
        Ok(unsafe { (*slot).value.assume_init_mut() })
    }

    /// The same to look at only, which others may do too.
    ///
    /// # Safety
    /// As for `get`, but nothing changes it as long as it is looked at.
    pub(crate) unsafe fn look<'a>(slot: *const Self) -> Result<&'a T, charlet_error> {
        // SAFETY: the caller promises it.
        unsafe { Self::find(slot) }?;
        // SAFETY: only `write` sets the mark.
        Ok(unsafe { (*slot).value.assume_init_ref() })
    }

    /// Whether there is a value.
    ///
    /// # Safety
    /// As for `look`.
    unsafe fn find(slot: *const Self) -> Result<(), charlet_error> {
        if slot.is_null() {
            return Err(CHARLET_NULL);
        }
        // SAFETY: the caller promises it.
        match unsafe { (&raw const (*slot).mark).read() } {
            MARK => Ok(()),
            _ => Err(CHARLET_NOT_INITIALIZED),
        }
    }
}

/// What C names by a pointer and a number; NULL is nothing if the number is 0.
///
/// # Safety
/// So many elements are there, and nothing changes them meanwhile.
pub(crate) unsafe fn read<'a, T>(first: *const T, count: usize) -> Result<&'a [T], charlet_error> {
    if first.is_null() && count == 0 {
        return Ok(&[]);
    }
    check(first, count)?;
    // SAFETY: the caller promises the elements, and the number was looked at.
    Ok(unsafe { slice::from_raw_parts(first, count) })
}

/// The same to write to.
///
/// # Safety
/// So many elements are there, and nothing else uses them meanwhile.
pub(crate) unsafe fn write<'a, T>(
    first: *mut T,
    count: usize,
) -> Result<&'a mut [T], charlet_error> {
    if first.is_null() && count == 0 {
        return Ok(&mut []);
    }
    check(first, count)?;
    // SAFETY: the caller promises the elements, and the number was looked at.
    Ok(unsafe { slice::from_raw_parts_mut(first, count) })
}

/// Whether there can be so many elements.
#[inline(always)]
pub(crate) fn check<T>(first: *const T, count: usize) -> Result<(), charlet_error> {
    if first.is_null() {
        return Err(CHARLET_NULL);
    }
    // No more is in memory, and Rust relies on it.
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(CHARLET_BUFFER_LENGTH);
    }
    Ok(())
}

/// A text of C: UTF-8.
///
/// # Safety
/// That of `read`.
pub(crate) unsafe fn text<'a>(first: *const c_char, len: usize) -> Result<&'a str, charlet_error> {
    // SAFETY: the caller promises it; a `char` of C is a byte.
    let bytes = unsafe { read(first.cast(), len) }?;
    if is_utf8(bytes) {
        // SAFETY: it was just looked at.
        Ok(unsafe { str::from_utf8_unchecked(bytes) })
    } else {
        Err(CHARLET_NOT_UTF8)
    }
}

/// A buffer of C that text is written to, with a NUL behind it.
pub(crate) struct Text<'a> {
    pub(crate) buffer: &'a mut [u8],
    /// Bytes without the NUL.
    pub(crate) len: usize,
}

impl<'a> Text<'a> {
    /// An empty text in memory with room for its NUL at least.
    ///
    /// # Safety
    /// That of `write`.
    pub(crate) unsafe fn new(first: *mut c_char, size: usize) -> Result<Self, charlet_error> {
        // SAFETY: the caller promises it; a `char` of C is a byte.
        let buffer: &mut [u8] = unsafe { write(first.cast(), size) }?;
        match buffer.first_mut() {
            Some(first) => *first = 0,
            None => return Err(CHARLET_BUFFER_FULL),
        }
        Ok(Self { buffer, len: 0 })
    }
}

impl fmt::Write for Text<'_> {
    fn write_char(&mut self, char: char) -> fmt::Result {
        let mut code = [0; 4];
        let code = char.encode_utf8(&mut code).as_bytes();
        let room = self.buffer.get_mut(self.len..).unwrap_or_default();
        let Some((place, [end, ..])) = room.split_at_mut_checked(code.len()) else {
            return Err(fmt::Error);
        };
        for (place, byte) in place.iter_mut().zip(code) {
            *place = *byte;
        }
        *end = 0;
        self.len += code.len();
        Ok(())
    }

    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| self.write_char(char))
    }
}

/// Writes a character's UTF-8 to `utf8`, at most 4 bytes and no NUL, and returns how many: 0 for what is no
/// character, like CHARLET_END.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn charlet_utf8(character: i32, utf8: *mut c_char) -> usize {
    let char = u32::try_from(character).ok().and_then(char::from_u32);
    let Some(char) = char.filter(|_| !utf8.is_null()) else {
        return 0;
    };
    let mut code = [0; 4];
    let code = char.encode_utf8(&mut code).as_bytes();
    for (at, byte) in code.iter().enumerate() {
        // SAFETY: the header asks for room for 4 bytes.
        unsafe { utf8.cast::<u8>().add(at).write(*byte) };
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn text_ends_with_a_nul_and_has_whole_characters_only() {
        let mut buffer = [b'x'; 4];
        // SAFETY: it is a buffer.
        let mut text = unsafe { Text::new(buffer.as_mut_ptr().cast(), buffer.len()) }.unwrap();
        assert!(text.write_str("aé").is_ok());
        assert!(text.write_char('b').is_err());
        assert_eq!(text.len, 3);
        assert_eq!(&buffer, "aé\0".as_bytes());
    }
}
