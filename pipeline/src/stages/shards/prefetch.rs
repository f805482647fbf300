//! Asking for memory before it is needed: sorted records lie scattered, and each would be waited for.

/// Records ahead of the current one that are asked for.
pub const AHEAD: usize = 12;

/// Asks for the two cache lines at `at`; does nothing where the machine has no such instruction.
#[inline]
pub fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if at + 64 < bytes.len() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: both addresses lie inside `bytes`; the instruction reads nothing by itself.
        unsafe {
            let line = bytes.as_ptr().add(at).cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(line);
            _mm_prefetch::<_MM_HINT_T0>(line.add(64));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}
