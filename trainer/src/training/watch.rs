//! Whether loss and gradients are still numbers of a sane size.

use crate::checkpoint::Watch;

/// Steps before sizes are compared.
const STEPS_MIN: u64 = 10;

/// How much of a running mean stays in a step, once there were enough.
const KEPT: f64 = 0.98;

impl Watch {
    /// Refuses a loss or a norm of gradients that is no number, or more than `factor` times its
    /// mean so far (a mean below 1 counts as 1); factor 0 takes any number.
    ///
    /// # Errors
    /// Which of them, its value and the mean.
    pub fn check(&self, factor: f64, loss: f64, norm: f64) -> Result<(), String> {
        for (what, value, mean) in [
            ("loss", loss, self.loss),
            ("norm of the gradients", norm, self.norm),
        ] {
            if !value.is_finite() {
                return Err(format!("the {what} is {value}"));
            }
            let bound = factor * mean.max(1.0);
            if factor > 0.0 && self.steps >= STEPS_MIN && value.abs() > bound {
                return Err(format!(
                    "the {what} is {value}, more than [training] explosion = {factor} times its \
                     running mean of {mean}"
                ));
            }
        }
        Ok(())
    }

    /// Adds a step. No step counts for more than twice the mean before it, so that the means do not
    /// follow an explosion.
    pub fn add(&mut self, loss: f64, norm: f64) {
        let most = |mean: f64| match self.steps >= STEPS_MIN {
            true => 2.0 * mean.max(1.0),
            false => f64::INFINITY,
        };
        let (loss, norm) = (loss.abs().min(most(self.loss)), norm.min(most(self.norm)));
        self.steps += 1;
        let new = (1.0 / self.steps as f64).max(1.0 - KEPT);
        self.loss += (loss - self.loss) * new;
        self.norm += (norm - self.norm) * new;
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn explosions_are_told_from_noise() {
        let mut watch = Watch::default();
        assert!(watch.check(3.0, 1e9, 0.0).is_ok(), "too early to tell");
        for step in 0..20 {
            watch.add(if step % 2 == 0 { 2.0 } else { 4.0 }, 0.01);
        }
        assert!((watch.loss - 3.0).abs() < 0.2, "{watch:?}");
        assert!(watch.check(3.0, -8.5, 2.9).is_ok());
        let loss = watch.check(3.0, 9.5, 0.1).unwrap_err();
        assert!(loss.starts_with("the loss is 9.5, more than"), "{loss}");
        let norm = watch.check(3.0, 3.0, 3.1).unwrap_err();
        assert!(norm.contains("norm of the gradients is 3.1"), "{norm}");
        assert!(watch.check(0.0, 1e30, 1e30).is_ok());
        let mut growing = watch;
        let steps = (0..30).take_while(|step| {
            let loss = 3.0 * 1.5f64.powi(*step);
            let sane = growing.check(100.0, loss, 0.0).is_ok();
            growing.add(loss, 0.0);
            sane
        });
        assert!((11..16).contains(&steps.count()), "a mean must not follow");
        for (loss, norm) in [(f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert!(Watch::default().check(0.0, loss, norm).is_err());
        }
    }
}
