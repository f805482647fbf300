//! Finite differences: whether the loss changes as its gradient says when parameters move.

use super::gradients::{moved, set, worse};
use super::{CHANGE_MAX, Doctor, Numbers, listed};
use crate::Result;
use crate::gradcache::Objective;

/// How far all parameters move for a change of the loss, in shares of their usual size: large
/// enough for f32, small enough that the loss is nearly straight.
const MOVE: f64 = 1e-3;
/// Directions in which they move.
const DIRECTIONS: u64 = 2;

/// A change of the loss when parameters move.
struct Change {
    /// What of it the gradient does not say.
    off: f64,
    /// What rounding may make of it.
    rounding: f64,
    /// The usual size of what the gradient says, over all directions.
    size: f64,
}

/// What rounding in f32 makes of a loss of 1: a few units of its last place.
const ROUNDING: f64 = 5e-7;
/// Where rounding is as large as this, a change cannot be told from it.
const FLAT: f64 = 0.2;

impl Doctor<'_> {
    /// Finite differences of the whole loss in a few directions; parameter by parameter where they
    /// find something.
    pub(super) fn look_at_changes(
        &mut self,
        whole: &Objective<'_>,
        gradients: &Numbers,
    ) -> Result<()> {
        if whole.loss.is_some_and(|loss| !loss.differentiable()) {
            self.skip(
                "changes",
                "the loss takes a part of its value for a constant",
            );
            return Ok(());
        }
        let (mut off, mut rounding, mut size) = (0.0, 0.0, 0.0);
        for direction in 0..DIRECTIONS {
            let change = self.change(whole, gradients, direction, |_| true)?;
            off = worse(off, change.off / change.size);
            rounding = worse(rounding, change.rounding / change.size);
            size = worse(size, change.size);
        }
        let most = CHANGE_MAX + 6.0 * rounding;
        let mut detail = "loss and gradient when all parameters move".to_string();
        if off.total_cmp(&most).is_gt() {
            detail = self.blame(whole, gradients, size)?;
        }
        self.values.restore(&self.parameters)?;
        match rounding > FLAT {
            true => self.skip(
                "changes",
                "the loss is too flat here for f32 to show a change",
            ),
            false => self.measure("changes", (off, most), detail),
        }
        Ok(())
    }

    /// How the loss changes when some parameters move, against what the gradient says.
    fn change(
        &self,
        whole: &Objective<'_>,
        gradients: &Numbers,
        direction: u64,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Change> {
        let (mut said, mut squares) = (0.0, 0.0);
        let mut losses = [0.0; 2];
        for (loss, step) in losses.iter_mut().zip([-MOVE, MOVE]) {
            for (number, parameter) in self.parameters.iter().enumerate() {
                let name = &parameter.name;
                let values = self.values.of(name);
                if !wanted(name) || self.options.frozen.contains(name) {
                    set(parameter, values)?;
                    continue;
                }
                let key = (self.options.step_key ^ direction, number as u64);
                let moved = moved(values, step, key);
                let moves = moved.iter().zip(values);
                let moves = moves.map(|(moved, value)| f64::from(*moved) - f64::from(*value));
                for (gradient, by) in gradients.of(name).iter().zip(moves) {
                    let by = f64::from(*gradient) * by;
                    said += by * step.signum();
                    squares += by * by;
                }
                set(parameter, &moved)?;
            }
            *loss = whole.value(&self.batch, self.options.step_key)?.loss;
        }
        // Each of the two steps is in the sum, and goes half of the way.
        let size = (squares * 2.0).sqrt();
        Ok(Change {
            off: (losses[1] - losses[0] - said).abs(),
            rounding: ROUNDING * losses[0].abs().max(1.0),
            size,
        })
    }

    /// The parameters along which loss and gradient disagree; `all` is the usual size of a change
    /// when all of them move.
    fn blame(&self, whole: &Objective<'_>, gradients: &Numbers, all: f64) -> Result<String> {
        let mut found = Vec::new();
        for parameter in self.parameters.iter() {
            let name = &parameter.name;
            let change = self.change(whole, gradients, 0, |own| own == name)?;
            // A missing gradient says nothing; it is measured by a share of all.
            let size = change.size.max(CHANGE_MAX * all);
            let off = (change.off - change.rounding) / size;
            if off.total_cmp(&CHANGE_MAX).is_gt() {
                found.push((change.off / all, name));
            }
        }
        found.sort_by(|one, other| other.0.total_cmp(&one.0));
        let found = found
            .iter()
            .map(|(off, name)| format!("`{name}` is off by {off:.1e}"));
        Ok(listed(&found.collect::<Vec<_>>()))
    }
}
