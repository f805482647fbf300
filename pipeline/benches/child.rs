//! A child process of a benchmark: its output, its time and its largest memory.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a run left.
pub struct Ended {
    /// Standard output.
    pub text: String,
    /// Wall time of the process.
    pub seconds: f64,
    /// Largest resident memory in MB.
    pub memory_mb: f64,
}

/// Runs a command to its end.
pub fn run(command: &[String]) -> Result<Ended, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", command[0]);
    let mut child = Command::new(&command[0]);
    child
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let started = Instant::now();
    let mut child = child.spawn().map_err(failed)?;
    let mut text = String::new();
    let read = std::io::Read::read_to_string(
        &mut child.stdout.take().expect("stdout is piped"),
        &mut text,
    );
    read.map_err(failed)?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: waits for our own child; both pointers have room for what the call writes.
    let ended = unsafe {
        libc::wait4(
            child.id() as libc::pid_t,
            &mut status,
            0,
            usage.as_mut_ptr(),
        )
    };
    let seconds = started.elapsed().as_secs_f64();
    if ended < 0 || status != 0 {
        return Err(format!("failed; try: {}", command.join(" ")));
    }
    // SAFETY: zeroed before the call and filled by it.
    let memory_mb = unsafe { usage.assume_init() }.ru_maxrss as f64 / 1e3;
    Ok(Ended {
        text,
        seconds,
        memory_mb,
    })
}
