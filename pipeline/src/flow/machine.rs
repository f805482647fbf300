//! What the machine has: cores, free space, memory used by this process.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Bytes that a user may still write to the file system of a path, where the system tells.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends in NUL and `answer` has room for the structure that the call fills.
    let filled = unsafe { libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) } == 0;
    // SAFETY: the call reported success, so the structure is filled.
    filled
        .then(|| unsafe { answer.assume_init() })
        .map(|answer| answer.f_bavail * answer.f_frsize)
}

/// Largest resident memory of this process so far, in bytes, where the system tells.
pub fn memory_peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}
