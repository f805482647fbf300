//! First values of parameters that no published model brings: of heads and decoders.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::encoder::{Encoder, Pair, start};
use crate::parameters::Parameter;
use crate::{Error, Result};

/// Takes parameters by name from what the files of a model brought, and makes the others.
#[derive(Debug)]
pub struct Initial<'a> {
    /// What the files brought besides the encoder.
    pub brought: &'a BTreeMap<String, Tensor>,
    /// What new values follow from.
    pub seed: u64,
    /// Standard deviation of new weights.
    pub deviation: f64,
    /// Where new parameters are put.
    pub device: &'a Device,
}

impl<'a> Initial<'a> {
    /// For what stands beside an encoder: on its device, new weights with the deviation of its
    /// `config.json`.
    pub fn new(
        encoder: &'a Encoder,
        brought: &'a BTreeMap<String, Tensor>,
        seed: u64,
    ) -> Initial<'a> {
        Initial {
            brought,
            seed,
            deviation: encoder.config.initializer_range,
            device: encoder.device(),
        }
    }

    /// The parameter of this name: as it was brought, or a new one of [`start::parameter`].
    ///
    /// # Errors
    /// What was brought has another shape; both are named.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<Arc<Parameter>> {
        if let Some(values) = self.brought.get(name) {
            if values.dims() != shape {
                let found = values.dims();
                return Err(Error::Usage(format!(
                    "parameter `{name}`: {shape:?} is wanted, found {found:?}"
                )));
            }
            let values = values.to_device(self.device)?;
            return Ok(Arc::new(Parameter::new(name, &values)?));
        }
        let (range, device) = (self.deviation, self.device);
        let own = start::parameter(name, shape, range, self.seed, device)?;
        Ok(Arc::new(own))
    }

    /// A weight and its bias: of `name.weight` and `name.bias`, the bias as long as the weight's
    /// first dimension.
    ///
    /// # Errors
    /// As [`Initial::take`].
    pub fn pair(&self, name: &str, shape: &[usize]) -> Result<Pair> {
        let weight = self.take(&format!("{name}.weight"), shape)?;
        Ok((weight, self.take(&format!("{name}.bias"), &shape[..1])?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::Device;

    use super::Initial;

    #[test]
    fn a_new_parameter_is_as_its_name_says() {
        let brought = BTreeMap::new();
        let initial = Initial {
            brought: &brought,
            seed: 3,
            deviation: 0.02,
            device: &Device::Cpu,
        };
        let (weight, bias) = initial.pair("decoder.dense", &[100, 101]).unwrap();
        let values = weight.tensor().flatten_all().unwrap();
        let values = values.to_vec1::<f32>().unwrap();
        assert_eq!(bias.tensor().to_vec1::<f32>().unwrap(), vec![0.0; 100]);
        let other = initial.take("decoder.other.weight", &[100, 101]).unwrap();
        let other = other.tensor().flatten_all().unwrap();
        assert_ne!(values, other.to_vec1::<f32>().unwrap());
        let norm = initial.take("decoder.LayerNorm.weight", &[3]).unwrap();
        assert_eq!(norm.tensor().to_vec1::<f32>().unwrap(), [1.0; 3]);
    }
}
