//! What similarities are multiplied with before a soft-max: one over the temperature, fixed or
//! learned.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::parameters::{Parameter, Parameters};

/// Name of a learned scale among the parameters.
const NAME: &str = "loss.log_scale";

/// The key `scale`: a number, or a table where it is learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "scale: a number, or a table such as { learned = true, initial = 14.28, max = 100.0 }"
)]
pub enum Scale {
    /// The same for the whole training; above 0. A temperature of 0.05 is a scale of 20.
    Fixed(f64),
    /// Trained with the model, as in CLIP and cpt-text.
    Learned(Learned),
}

/// A learned scale: its logarithm is a parameter without weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// False keeps it at `initial`.
    pub learned: bool,
    /// What it begins with; 1 to `max`. Without it 1 / 0.07, as CLIP begins.
    #[serde(default = "initial")]
    pub initial: f64,
    /// What it cannot pass; after each step it is brought back into 1 to `max`.
    #[serde(default = "max")]
    pub max: f64,
}

/// A scale in use.
#[derive(Clone, Debug)]
pub enum Scaled {
    /// A number.
    Fixed(f64),
    /// A parameter and the most it may be.
    Learned(Arc<Parameter>, f64),
}

fn initial() -> f64 {
    1.0 / 0.07
}

fn max() -> f64 {
    100.0
}

/// Checks a key that is above 0.
///
/// # Errors
/// The key, its value and what is accepted.
pub fn check_above_0(key: &str, value: f64) -> std::result::Result<(), String> {
    match value > 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(format!("{key} = {value}: a number above 0")),
    }
}

impl Scale {
    /// Checks the values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        match *self {
            Scale::Fixed(scale) => check_above_0("scale", scale),
            Scale::Learned(Learned { max, .. }) if !(max > 1.0 && max.is_finite()) => {
                Err(format!("scale max = {max}: a number above 1"))
            }
            Scale::Learned(Learned { initial, max, .. }) if !(1.0..=max).contains(&initial) => Err(
                format!("scale initial = {initial}: 1 to {max}, which is `max`"),
            ),
            _ => Ok(()),
        }
    }

    /// The scale at the start of a training.
    ///
    /// # Errors
    /// The device fails.
    pub fn build(&self, device: &Device) -> Result<Scaled> {
        Ok(match *self {
            Scale::Fixed(scale) => Scaled::Fixed(scale),
            Scale::Learned(own) if !own.learned => Scaled::Fixed(own.initial),
            Scale::Learned(own) => {
                let value = Tensor::new(own.initial.ln() as f32, device)?;
                let mut parameter = Parameter::new(NAME, &value)?;
                parameter.decay = false;
                Scaled::Learned(Arc::new(parameter), own.max)
            }
        })
    }
}

impl Scaled {
    /// Its value now.
    ///
    /// # Errors
    /// The device fails.
    pub fn value(&self) -> Result<f64> {
        match self {
            Scaled::Fixed(scale) => Ok(*scale),
            Scaled::Learned(parameter, _) => {
                Ok(f64::from(parameter.tensor().to_scalar::<f32>()?).exp())
            }
        }
    }

    /// The logarithm of a learned one, as a leaf of the graph.
    pub fn log_scale(&self) -> Option<&Tensor> {
        match self {
            Scaled::Fixed(_) => None,
            Scaled::Learned(parameter, _) => Some(parameter.tensor()),
        }
    }

    /// The parameter of a learned one.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        if let Scaled::Learned(parameter, _) = self {
            parameters.share(parameter.clone());
        }
        parameters
    }

    /// Brings a learned one back into 1 to its maximum.
    ///
    /// # Errors
    /// The device fails.
    pub fn clamp(&self) -> Result<()> {
        if let Scaled::Learned(parameter, max) = self {
            let now = parameter.tensor().to_scalar::<f32>()?;
            let within = now.clamp(0.0, max.ln() as f32);
            if within != now {
                let device = parameter.tensor().device();
                parameter.set(&Tensor::new(within, device)?)?;
            }
        }
        Ok(())
    }
}
