//! `[training]`: how a training goes on, stops and is kept.

use serde::{Deserialize, Serialize};

/// `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingOptions {
    /// Sequences that go through the encoder at once (GradCache); 0: all of a batch. It changes
    /// memory and time, and the result by rounding only.
    pub chunk: usize,
    /// How much of a moving average of all weights stays in a step, such as 0.999; the average is
    /// what is evaluated and exported. 0: there is none.
    pub ema_decay: f64,
    /// Steps from checkpoint to checkpoint; there is one at the end in any case.
    pub checkpoint_steps: u64,
    /// How many of the newest checkpoints are kept.
    pub keep_last: usize,
    /// Whether the best checkpoint is kept too: the one with the smallest mean loss over the steps
    /// since the one before, or what `[evaluation] decides` says.
    pub keep_best: bool,
    /// Steps from line to line of the log.
    pub log_steps: u64,
    /// The training ends after this many checkpoints without a better one; 0: never. Where
    /// `[evaluation] decides`, evaluations count.
    pub early_stop: u64,
    /// The training stops with an error where loss or norm of the gradients is more than this many
    /// times its running mean (or times 1, where that is less); 0: only where they are no numbers.
    pub explosion: f64,
}

impl Default for TrainingOptions {
    fn default() -> TrainingOptions {
        TrainingOptions {
            chunk: 0,
            ema_decay: 0.0,
            checkpoint_steps: 500,
            keep_last: 2,
            keep_best: true,
            log_steps: 10,
            early_stop: 0,
            explosion: 100.0,
        }
    }
}

impl TrainingOptions {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..1.0).contains(&self.ema_decay) {
            return Err(format!(
                "[training] ema_decay = {}: 0 (off) and more, below 1, is accepted",
                self.ema_decay
            ));
        }
        if !(self.explosion == 0.0 || self.explosion > 1.0 && self.explosion.is_finite()) {
            return Err(format!(
                "[training] explosion = {}: 0 (off) or more than 1 is accepted",
                self.explosion
            ));
        }
        for (key, value) in [
            ("checkpoint_steps", self.checkpoint_steps),
            ("keep_last", self.keep_last as u64),
            ("log_steps", self.log_steps),
        ] {
            if value == 0 {
                return Err(format!("[training] {key} = 0: 1 or more is accepted"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::TrainingOptions;

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("ema_decay = 1.0", "[training] ema_decay = 1"),
            ("ema_decay = nan", "ema_decay = NaN"),
            ("explosion = 0.5", "explosion = 0.5: 0 (off) or more than 1"),
            ("checkpoint_steps = 0", "checkpoint_steps = 0"),
            ("keep_last = 0", "keep_last = 0"),
            ("log_steps = 0", "log_steps = 0"),
        ] {
            let options: TrainingOptions = toml::from_str(text).unwrap();
            let message = options.check().unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
        }
        assert_eq!(TrainingOptions::default().check(), Ok(()));
        assert!(toml::from_str::<TrainingOptions>("patience = 3").is_err());
    }
}
