//! Whether somebody keeps the clock.
#![expect(unsafe_code, reason = "rustix has no adjtimex")]

use std::ffi::c_int;

/// Large enough for `struct timex` everywhere: 208 bytes on 64-bit machines.
const WORDS: usize = 64;
/// What the kernel returns when the clock is not synchronised.
const TIME_ERROR: c_int = 5;

unsafe extern "C" {
    fn adjtimex(state: *mut u64) -> c_int;
}

/// Whether the kernel's clock is synchronised to another one. None where the kernel does not tell.
pub fn is_synchronised() -> Option<bool> {
    // No mode is set: the kernel only writes what is.
    let mut state = [0_u64; WORDS];
    // SAFETY: the buffer is larger than `struct timex` and aligned for it; with no mode set nothing is changed.
    match unsafe { adjtimex(state.as_mut_ptr()) } {
        TIME_ERROR => Some(false),
        0.. => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells() {
        assert!(super::is_synchronised().is_some());
    }
}
