//! Where a training stands, for a line on a terminal.

use std::fmt;
use std::time::Duration;

/// The figures of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss of the steps since the last line of the log.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Tokens in a second, since the start or the resume.
    pub tokens_per_s: f64,
    /// Share of the time that the training waited for batches.
    pub wait_share: f64,
    /// Time that the rest will take at this pace.
    pub left: Duration,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {}/{}  loss {:.4}  lr {:.2e}  {:.0} tokens/s  wait {:.1} %  ETA {}",
            self.step,
            self.steps,
            self.loss,
            self.learning_rate,
            self.tokens_per_s,
            100.0 * self.wait_share,
            clock(self.left)
        )
    }
}

/// `1:02:03`, or `2:03` below an hour.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Progress;

    #[test]
    fn a_line_says_it_all() {
        let progress = Progress {
            step: 12,
            steps: 400,
            loss: 1.23456,
            learning_rate: 3e-5,
            tokens_per_s: 10_500.4,
            wait_share: 0.0123,
            left: Duration::from_secs(3723),
        };
        assert_eq!(
            progress.to_string(),
            "step 12/400  loss 1.2346  lr 3.00e-5  10500 tokens/s  wait 1.2 %  ETA 1:02:03"
        );
        let left = Duration::from_secs(62);
        assert!(
            Progress { left, ..progress }
                .to_string()
                .ends_with("ETA 1:02")
        );
    }
}
