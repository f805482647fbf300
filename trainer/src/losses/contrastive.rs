//! What all losses over a similarity matrix with a scale share.

use super::{Contrast, Inputs, Loss, Make, Offer, Output, Place, Scale, Scaled};
use crate::Result;
use crate::parameters::Parameters;

/// Options that say how a similarity matrix is made of a batch.
pub trait Contrastive: Clone + Send + 'static {
    /// The options' scale.
    fn scale(&self) -> Scale;

    /// Refuses what it cannot be computed from.
    fn wants(&self, offer: &Offer) -> std::result::Result<(), String>;

    /// The loss of a batch with the scale that the training has come to.
    fn contrast(&self, inputs: &Inputs<'_>, scale: &Scaled) -> Result<Contrast>;

    /// Checks keys besides the scale.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// A contrastive loss with its scale in use.
struct InUse<O> {
    options: O,
    scale: Scaled,
}

impl<O: Contrastive> Make for O {
    fn check(&self) -> std::result::Result<(), String> {
        self.scale().check()?;
        Contrastive::check(self)
    }

    fn build(&self, place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(InUse {
            scale: self.scale().build(&place.device)?,
            options: self.clone(),
        }))
    }
}

impl<O: Contrastive> Loss for InUse<O> {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        self.options.wants(offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let contrast = self.options.contrast(inputs, &self.scale)?;
        contrast.output(&self.scale)
    }

    fn parameters(&self) -> Parameters {
        self.scale.parameters()
    }

    fn clamp(&self) -> Result<()> {
        self.scale.clamp()
    }
}
