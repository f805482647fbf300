//! Nesting of JSON: the parser recurses without a limit, so hostile lines are turned away before it.

use juzi_schemas::dropped::Reason;

use super::Reject;

/// Deepest accepted nesting, as in serde_json.
const DEPTH_MAX: usize = 128;

/// Rejects JSON nested so deeply that parsing it could end the program.
///
/// # Errors
/// `invalid_json`, with the limit.
pub fn check(raw: &str) -> Result<(), Reject> {
    let bytes = raw.as_bytes();
    // Almost every line ends here: it has fewer brackets than the limit, in strings or out.
    if memchr::memchr2_iter(b'[', b'{', bytes)
        .nth(DEPTH_MAX)
        .is_none()
        || depth(bytes) <= DEPTH_MAX
    {
        return Ok(());
    }
    Err(Reject::new(
        Reason::InvalidJson,
        format!("nested deeper than {DEPTH_MAX} levels"),
    ))
}

/// The deepest nesting outside of strings.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut deepest, mut text, mut escaped) = (0_usize, 0, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = text,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' if !text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_nesting_counts() {
        assert!(check(&format!("{}1{}", "[".repeat(128), "]".repeat(128))).is_ok());
        assert!(check(&format!("{}1{}", "[".repeat(129), "]".repeat(129))).is_err());
        assert!(check(&"{\"a\":".repeat(1_000_000)).is_err());
        assert!(check(&format!("[\"{}\\\"{}\"]", "[".repeat(500), "{".repeat(500))).is_ok());
        assert!(check(&"[{}]".repeat(500)).is_ok());
    }
}
