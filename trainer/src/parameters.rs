//! The trained tensors of a model, by name, each with its gradient.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

use crate::Result;
use crate::kernels;

/// One trained tensor in f32.
///
/// On the CPU its gradient is a vector of its own, so that fused operations add to it where it
/// stands; candle's graph would make a new tensor of its size for each use. A clone shares values and
/// gradient.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name as in a Hugging Face checkpoint of the bare encoder, without a `bert.` before it.
    pub name: String,
    /// Whether weight decay pulls at it: not at biases and layer norms.
    pub decay: bool,
    var: Var,
    gradient: Arc<Mutex<Gradient>>,
}

#[derive(Debug)]
enum Gradient {
    None,
    Host(Vec<f32>),
    Device(Tensor),
}

/// All parameters of a model in the order of their names. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    all: BTreeMap<String, Arc<Parameter>>,
}

/// The gradient of a parameter on the CPU, locked; it is as long as the parameter has elements.
pub struct HostGradient<'a>(MutexGuard<'a, Gradient>);

impl Parameter {
    /// A parameter with these values; the tensor is copied.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn new(name: impl Into<String>, values: &Tensor) -> Result<Parameter> {
        let name = name.into();
        // A variable would be taken over as it is, and two parameters would share their memory.
        let values = values.detach().to_dtype(DType::F32)?.contiguous()?;
        Ok(Parameter {
            decay: !(name.ends_with("bias") || name.contains("LayerNorm")),
            var: Var::from_tensor(&values)?,
            gradient: Arc::new(Mutex::new(Gradient::None)),
            name,
        })
    }

    /// Its values, as a leaf of candle's graph.
    pub fn tensor(&self) -> &Tensor {
        self.var.as_tensor()
    }

    /// Gives it other values; the tensor is copied.
    ///
    /// # Errors
    /// The shape is another, or the device fails.
    pub fn set(&self, values: &Tensor) -> Result<()> {
        let values = values.to_dtype(DType::F32)?;
        let values = values.to_device(self.tensor().device())?;
        Ok(self.var.set(&values)?)
    }

    /// Whether it has a gradient, be it of zeros.
    pub fn has_gradient(&self) -> bool {
        let own = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(*own, Gradient::None)
    }

    /// Number of its elements.
    pub fn elements(&self) -> usize {
        self.tensor().elem_count()
    }

    /// Its gradient on the CPU, made of zeros where there is none yet, to be added to.
    pub fn host_gradient(&self) -> HostGradient<'_> {
        let mut gradient = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*gradient, Gradient::None) {
            *gradient = Gradient::Host(vec![0.0; self.elements()]);
        }
        HostGradient(gradient)
    }

    /// Adds to the gradient.
    ///
    /// # Errors
    /// The tensor has another number of elements.
    pub fn add_gradient(&self, more: &Tensor) -> Result<()> {
        if self.tensor().device().is_cpu() {
            let more = more.contiguous()?;
            let mut own = self.host_gradient();
            return Ok(kernels::view(&more, |more| {
                own.iter_mut()
                    .zip(more)
                    .for_each(|(own, more)| *own += more);
            })?);
        }
        let mut own = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        *own = Gradient::Device(match &*own {
            Gradient::Device(own) => (own + more)?,
            _ => more.copy()?,
        });
        Ok(())
    }

    /// A copy of the gradient in the parameter's shape, if there is one.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn gradient(&self) -> Result<Option<Tensor>> {
        let own = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*own {
            Gradient::None => None,
            Gradient::Host(own) => {
                let shape = self.tensor().shape().clone();
                Some(Tensor::from_slice(own, shape, &Device::Cpu)?)
            }
            Gradient::Device(own) => Some(own.clone()),
        })
    }

    /// Forgets the gradient, and that there was one.
    pub fn drop_gradient(&self) {
        let mut own = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        *own = Gradient::None;
    }

    /// Forgets the gradient; on the CPU its memory stays for the next step.
    pub fn clear_gradient(&self) {
        let mut own = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *own {
            Gradient::Host(own) => own.fill(0.0),
            own => *own = Gradient::None,
        }
    }
}

impl std::ops::Deref for HostGradient<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.0 {
            Gradient::Host(values) => values,
            _ => unreachable!("a gradient on the CPU is a vector"),
        }
    }
}

impl std::ops::DerefMut for HostGradient<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut *self.0 {
            Gradient::Host(values) => values,
            _ => unreachable!("a gradient on the CPU is a vector"),
        }
    }
}

impl Parameters {
    /// Adds a parameter; gives it back for use.
    pub fn insert(&mut self, parameter: Parameter) -> Arc<Parameter> {
        let parameter = Arc::new(parameter);
        self.share(parameter.clone());
        parameter
    }

    /// Adds a parameter that others hold too.
    pub fn share(&mut self, parameter: Arc<Parameter>) {
        self.all.insert(parameter.name.clone(), parameter);
    }

    /// Adds all parameters of others.
    pub fn extend(&mut self, others: &Parameters) {
        self.all.extend(others.all.clone());
    }

    /// A parameter by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<Parameter>> {
        self.all.get(name)
    }

    /// All in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Parameter>> {
        self.all.values()
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Elements of all parameters.
    pub fn elements(&self) -> usize {
        self.iter().map(|parameter| parameter.elements()).sum()
    }

    /// Adds what candle's backward pass left for them; fused operations have added theirs before.
    ///
    /// # Errors
    /// A gradient has another shape than its parameter.
    pub fn collect(&self, gradients: &GradStore) -> Result<()> {
        for parameter in self.iter() {
            if let Some(gradient) = gradients.get(parameter.tensor()) {
                parameter.add_gradient(gradient)?;
            }
        }
        Ok(())
    }

    /// Forgets all gradients, and that there were any.
    pub fn drop_gradients(&self) {
        self.iter().for_each(|parameter| parameter.drop_gradient());
    }

    /// Forgets all gradients.
    pub fn clear_gradients(&self) {
        self.iter().for_each(|parameter| parameter.clear_gradient());
    }

    /// The same parameters with values of their own and no gradients.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn copy(&self) -> Result<Parameters> {
        let mut copy = Parameters::default();
        for parameter in self.iter() {
            let mut own = Parameter::new(&parameter.name, parameter.tensor())?;
            own.decay = parameter.decay;
            copy.insert(own);
        }
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::{Parameter, Parameters};

    #[test]
    fn a_copy_has_memory_of_its_own() {
        let values = Tensor::new(&[1.0f32, 2.0], &Device::Cpu).unwrap();
        let mut one = Parameters::default();
        let a = one.insert(Parameter::new("a", &values).unwrap());
        let copy = one.copy().unwrap();
        a.set(&Tensor::new(&[3.0f32, 4.0], &Device::Cpu).unwrap())
            .unwrap();
        let of = |parameters: &Parameters| parameters.get("a").unwrap().tensor().to_vec1::<f32>();
        assert_eq!(of(&one).unwrap(), [3.0, 4.0]);
        assert_eq!(of(&copy).unwrap(), [1.0, 2.0]);
        assert_eq!(values.to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        assert!(
            a.set(&Tensor::new(&[3.0f32], &Device::Cpu).unwrap())
                .is_err()
        );
    }
}
