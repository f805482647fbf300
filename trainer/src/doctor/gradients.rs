//! The values and gradients of all parameters at one moment, and how far two such sets differ.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use juzi_schemas::random::Draws;

use crate::Result;
use crate::parameters::{Parameter, Parameters};

/// Numbers of each parameter by its name: values or gradients. Those without a gradient are not in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers(pub BTreeMap<String, Vec<f32>>);

/// How far two sets of gradients differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The length of the difference over the length of the gradient, all parameters as one vector.
    pub total: f64,
    /// The parameter that differs most, by the largest difference of an element over the largest
    /// element.
    pub worst: String,
    /// By how much.
    pub worst_by: f64,
}

/// A gradient below this share of the largest one of the model is compared with that share: rounding
/// errors are made at the size of what is added up.
const FLOOR: f64 = 1e-2;

impl Numbers {
    /// Copies of all gradients.
    ///
    /// # Errors
    /// The device fails.
    pub fn gradients(parameters: &Parameters) -> Result<Numbers> {
        let all = parameters.iter().filter_map(|parameter| {
            let gradient = parameter.gradient().transpose()?;
            Some(gradient.and_then(|own| Ok((parameter.name.clone(), numbers(&own)?))))
        });
        Ok(Numbers(all.collect::<Result<_>>()?))
    }

    /// Copies of all values.
    ///
    /// # Errors
    /// The device fails.
    pub fn values(parameters: &Parameters) -> Result<Numbers> {
        let all = parameters
            .iter()
            .map(|parameter| Ok((parameter.name.clone(), numbers(parameter.tensor())?)));
        Ok(Numbers(all.collect::<Result<_>>()?))
    }

    /// Puts these values back.
    ///
    /// # Errors
    /// The device fails.
    pub fn restore(&self, parameters: &Parameters) -> Result<()> {
        for parameter in parameters.iter() {
            if let Some(values) = self.0.get(&parameter.name) {
                set(parameter, values)?;
            }
        }
        Ok(())
    }

    /// The numbers of a parameter; none where it has none.
    pub fn of(&self, name: &str) -> &[f32] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// How far others differ from these. Parameters that `zero` names have no gradient but rounding
    /// errors; these are measured by the largest gradient of all.
    pub fn difference(&self, others: &Numbers, zero: impl Fn(&str) -> bool) -> Difference {
        let all = self
            .0
            .values()
            .map(|values| largest(values))
            .fold(0.0, f64::max);
        let mut found = Difference {
            total: 0.0,
            worst: String::new(),
            worst_by: 0.0,
        };
        let (mut differing, mut length) = (0.0, 0.0);
        let names = self
            .0
            .keys()
            .chain(others.0.keys().filter(|name| !self.0.contains_key(*name)));
        for name in names {
            let (one, other) = (self.of(name), others.of(name));
            let most = (0..one.len().max(other.len())).fold(0.0, |most: f64, at| {
                let own = one.get(at).map_or(0.0, |&own| f64::from(own));
                let off = own - other.get(at).map_or(0.0, |&other| f64::from(other));
                differing += off * off;
                length += own * own;
                worse(most, off)
            });
            let scale = match zero(name) {
                true => all,
                false => largest(one).max(FLOOR * all),
            };
            let by = if most == 0.0 { 0.0 } else { most / scale };
            if by.total_cmp(&found.worst_by).is_gt() {
                (found.worst, found.worst_by) = (name.clone(), by.abs());
            }
        }
        if differing != 0.0 {
            found.total = (differing / length).sqrt();
        }
        found
    }
}

/// The largest size of a number; not a number where one is not.
pub fn largest(values: &[f32]) -> f64 {
    let values = values.iter().map(|&value| f64::from(value));
    values.fold(0.0, worse)
}

/// The larger size of two numbers; what is not a number is larger than all, and is not lost.
pub fn worse(one: f64, other: f64) -> f64 {
    std::cmp::max_by(one.abs(), other.abs(), f64::total_cmp)
}

/// Gives a parameter other values.
pub fn set(parameter: &Parameter, values: &[f32]) -> Result<()> {
    let tensor = parameter.tensor();
    let values = Tensor::from_slice(values, tensor.shape().clone(), tensor.device())?;
    // Of a variable this is the variable itself, not a copy.
    Ok(Var::from_tensor(tensor)?.set(&values)?)
}

/// Values moved by `step` times their own usual size, each up or down as a draw says.
pub fn moved(values: &[f32], step: f64, (seed, number): (u64, u64)) -> Vec<f32> {
    let squares = values.iter().map(|&value| f64::from(value).powi(2));
    let size = (squares.sum::<f64>() / values.len().max(1) as f64).sqrt();
    let by = (step * size.max(SIZE_MIN)) as f32;
    let mut draws = Draws::new(seed, 0, 0, number.into(), 0);
    let mut moved = Vec::with_capacity(values.len());
    for values in values.chunks(64) {
        let bits = draws.next_u64();
        let signed = values.iter().enumerate();
        moved.extend(signed.map(|(at, value)| match bits >> at & 1 {
            0 => value + by,
            _ => value - by,
        }));
    }
    moved
}

/// What parameters that are all zero count as, such as new biases.
const SIZE_MIN: f64 = 1e-2;

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::{Numbers, moved};

    fn numbers(all: &[(&str, &[f32])]) -> Numbers {
        let all = all
            .iter()
            .map(|(name, values)| (name.to_string(), values.to_vec()));
        Numbers(all.collect())
    }

    #[test]
    fn differences_are_measured_and_named() {
        let one = numbers(&[("a", &[3.0, 4.0]), ("b", &[0.1, 0.0]), ("c", &[1e-9])]);
        let mut other = one.clone();
        let same = one.difference(&other, |_| false);
        assert_eq!((same.total, same.worst_by), (0.0, 0.0));
        other.0.get_mut("b").unwrap()[1] = 0.05;
        let found = one.difference(&other, |_| false);
        assert_eq!(found.worst, "b");
        assert!((found.worst_by - 0.5).abs() < 1e-6, "{found:?}");
        assert!((found.total - 0.01).abs() < 1e-4, "{found:?}");
        let found = one.difference(&other, |name| name == "b");
        assert!((found.worst_by - 0.0125).abs() < 1e-6, "{found:?}");
        // Rounding errors of a small gradient are no difference.
        other = one.clone();
        other.0.get_mut("c").unwrap()[0] = 3e-9;
        assert!(one.difference(&other, |_| false).worst_by < 1e-6);
    }

    #[test]
    fn what_is_missing_or_no_number_differs() {
        let one = numbers(&[("a", &[3.0, 4.0]), ("b", &[1.0])]);
        let without = numbers(&[("a", &[3.0, 4.0])]);
        for (one, other) in [(&one, &without), (&without, &one)] {
            let found = one.difference(other, |_| false);
            assert_eq!(found.worst, "b");
            assert!(found.worst_by > 0.1 && found.total > 0.1, "{found:?}");
        }
        let nan = numbers(&[("a", &[3.0, f32::NAN]), ("b", &[1.0])]);
        for (one, other) in [(&one, &nan), (&nan, &one)] {
            let found = one.difference(other, |_| false);
            assert!(found.total.is_nan() || found.total > 1.0, "{found:?}");
            assert!(found.worst_by.is_nan() || found.worst_by > 1.0, "{found:?}");
        }
    }

    #[test]
    fn moves_are_up_and_down_and_repeat() {
        let values = vec![2.0; 1000];
        let (up, down) = (moved(&values, 0.1, (1, 2)), moved(&values, -0.1, (1, 2)));
        for (up, down) in up.iter().zip(&down) {
            assert!((up + down - 4.0).abs() < 1e-6);
            assert!((up - 2.0).abs() - 0.2 < 1e-6);
        }
        let larger = up.iter().filter(|&&up| up > 2.0).count();
        assert!((400..600).contains(&larger), "{larger}");
        assert_ne!(up, moved(&values, 0.1, (1, 3)));
        assert_ne!(moved(&[0.0], 0.1, (1, 2)), [0.0]);
    }
}
