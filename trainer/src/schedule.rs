//! The learning rate of each step: it rises from 0 over the first steps and then falls or stays.

use serde::{Deserialize, Serialize};

/// `[schedule]`: how the learning rate moves, and how long the training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleOptions {
    /// How the rate goes on after the warm-up: linear (down to 0), cosine (half a wave, down to 0)
    /// or constant.
    pub kind: Kind,
    /// Steps over which the rate rises from 0; the first step has rate 0 then.
    pub warmup_steps: Option<u64>,
    /// The same as a share of all steps, rounded up; 0.1 if neither is given.
    pub warmup_ratio: Option<f64>,
    /// Steps of the optimizer in the whole training.
    pub steps: Option<u64>,
    /// The same as passes over the data, rounded up to a whole step; 1 if neither is given.
    pub epochs: Option<f64>,
}

/// How the rate goes on after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// In a straight line to 0 at the last step.
    #[default]
    Linear,
    /// Along half a cosine wave to 0.
    Cosine,
    /// As it is.
    Constant,
}

/// A schedule whose length is known. The values are those of transformers'
/// `get_linear_schedule_with_warmup` and its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// How the rate goes on after the warm-up.
    pub kind: Kind,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// Steps in all.
    pub steps: u64,
}

impl ScheduleOptions {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> Result<(), String> {
        if self.warmup_steps.is_some() && self.warmup_ratio.is_some() {
            return Err("[schedule] warmup_steps and warmup_ratio: give one of them".into());
        }
        if self.steps.is_some() && self.epochs.is_some() {
            return Err("[schedule] steps and epochs: give one of them".into());
        }
        if self.steps == Some(0) {
            return Err("[schedule] steps = 0: 1 or more is accepted".into());
        }
        match self.epochs {
            Some(epochs) if !(epochs > 0.0 && epochs <= 1e6) => {
                return Err(format!(
                    "[schedule] epochs = {epochs}: above 0 and up to 1000000 is accepted"
                ));
            }
            _ => {}
        }
        match self.warmup_ratio {
            Some(ratio) if !(0.0..=1.0).contains(&ratio) => Err(format!(
                "[schedule] warmup_ratio = {ratio}: 0 to 1 is accepted"
            )),
            _ => Ok(()),
        }
    }

    /// The schedule of a training with so many batches in an epoch, `accumulation` of them a step.
    pub fn resolve(&self, batches: u64, accumulation: u64) -> Schedule {
        let by_epochs = || {
            let epochs = self.epochs.unwrap_or(1.0);
            (epochs * batches as f64 / accumulation as f64).ceil() as u64
        };
        let steps = self.steps.unwrap_or_else(by_epochs).max(1);
        let by_ratio = || (steps as f64 * self.warmup_ratio.unwrap_or(0.1)).ceil() as u64;
        Schedule {
            kind: self.kind,
            warmup: self.warmup_steps.unwrap_or_else(by_ratio),
            steps,
        }
    }
}

impl Schedule {
    /// What the learning rate of the recipe is multiplied with in a step, from 0.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup {
            return step as f64 / self.warmup as f64;
        }
        let length = self.steps.saturating_sub(self.warmup).max(1) as f64;
        match self.kind {
            Kind::Constant => 1.0,
            Kind::Linear => (self.steps.saturating_sub(step) as f64 / length).max(0.0),
            Kind::Cosine => {
                let done = (step - self.warmup) as f64 / length;
                (0.5 * (1.0 + (std::f64::consts::PI * done).cos())).max(0.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Schedule, ScheduleOptions};

    #[test]
    fn rates_are_those_of_transformers() {
        // Made by optimizer/fixtures/adamw.py.
        let text = include_str!("optimizer/fixtures/adamw.json");
        let fixture: serde_json::Value = serde_json::from_str(text).unwrap();
        for (name, kind) in [
            ("linear", Kind::Linear),
            ("cosine", Kind::Cosine),
            ("constant", Kind::Constant),
        ] {
            let schedule = Schedule {
                kind,
                warmup: 5,
                steps: 20,
            };
            let rates = fixture["schedules"][name].as_array().unwrap();
            // Beyond its last step a cosine would rise again; no training goes there.
            let within = if kind == Kind::Cosine { 21 } else { 24 };
            for (step, rate) in (0..within).zip(rates) {
                let (found, expected) = (schedule.factor(step), rate.as_f64().unwrap());
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{name} {step}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn lengths_follow_from_the_data() {
        let of = |text: &str| {
            let options: ScheduleOptions = toml::from_str(text).unwrap();
            options.check().unwrap();
            let schedule = options.resolve(10, 4);
            (schedule.warmup, schedule.steps)
        };
        assert_eq!(of(""), (1, 3));
        assert_eq!(of("epochs = 2.5\nwarmup_ratio = 0"), (0, 7));
        assert_eq!(of("steps = 31\nwarmup_steps = 4"), (4, 31));
        assert_eq!(of("steps = 31"), (4, 31));
        assert_eq!(of("epochs = 0.001"), (1, 1));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("steps = 0", "[schedule] steps = 0"),
            ("steps = 3\nepochs = 1", "steps and epochs"),
            ("epochs = -1", "epochs = -1"),
            ("epochs = nan", "epochs = NaN"),
            ("warmup_ratio = 1.5", "warmup_ratio = 1.5: 0 to 1"),
            (
                "warmup_ratio = 0.5\nwarmup_steps = 1",
                "warmup_steps and warmup_ratio",
            ),
        ] {
            let options: ScheduleOptions = toml::from_str(text).unwrap();
            let message = options.check().unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
        }
        assert!(toml::from_str::<ScheduleOptions>("kind = 'square'").is_err());
    }
}
