//! Room on a disk, asked for before much is written.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::{Error, Result};

/// Bytes that may still be written to the disk on which a directory is.
pub fn free(dir: &Path) -> Result<u64> {
    let name = CString::new(dir.as_os_str().as_bytes()).map_err(|_| Error::Io {
        path: dir.into(),
        source: std::io::ErrorKind::InvalidFilename.into(),
    })?;
    // SAFETY: the structure is plain numbers, for which all zeros are a value; the call fills it
    // and reads a name that ends with a zero.
    let (done, found) = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(name.as_ptr(), &mut found), found)
    };
    match done {
        0 => Ok(found.f_bavail.saturating_mul(found.f_frsize)),
        _ => Err(Error::io(dir)(std::io::Error::last_os_error())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::free;

    #[test]
    fn a_disk_has_room_and_no_place_has_none() {
        assert!(free(&std::env::temp_dir()).unwrap() > 0);
        let message = free(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/at/all"), "{message}");
    }
}
