//! The encoder before any training: what its architecture and its tokenizer are worth alone.

use crate::Result;
use crate::encoder::{Encoder, start};
use crate::model::Model;
use crate::parameters::Parameters;
use crate::tokenizer::Tokenizer;

/// A model like another one in all but its values, which are random as BERT begins and follow from
/// the seed.
///
/// # Errors
/// The tokenizer cannot be read again; the device has no memory left.
pub fn untrained(model: &Model, seed: u64) -> Result<Model> {
    let encoder = &model.encoder;
    let mut parameters = Parameters::default();
    for parameter in encoder.parameters.iter() {
        let (shape, range) = (parameter.tensor().dims(), encoder.config.initializer_range);
        let device = encoder.device();
        let new = start::parameter(&parameter.name, shape, range, seed, device)?;
        parameters.insert(new);
    }
    let new = Encoder::new(encoder.config.clone(), encoder.pooling, parameters)?;
    Ok(Model {
        encoder: new.with_output(encoder.output.clone())?,
        tokenizer: Tokenizer::open(&model.folder)?,
        length_max: model.length_max,
        normalize: model.normalize,
        lowercase: model.lowercase,
        prompts: model.prompts.clone(),
        default_prompt: model.default_prompt.clone(),
        folder: model.folder.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::untrained;
    use crate::encoder::Kernels;
    use crate::model::Model;

    #[test]
    fn only_the_values_are_others() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/bert");
        let model = Model::open(&folder).unwrap();
        let new = untrained(&model, 1).unwrap();
        let vectors = |model: &Model| model.encode(&["今天"], Kernels::Plain).unwrap();
        assert_eq!(vectors(&new), vectors(&untrained(&model, 1).unwrap()));
        assert_ne!(vectors(&new), vectors(&untrained(&model, 2).unwrap()));
        assert_ne!(vectors(&new), vectors(&model));
        assert_eq!(new.encoder.dimension(), model.encoder.dimension());
        assert_eq!(new.encoder.pooling, model.encoder.pooling);
        let elements = |model: &Model| model.encoder.parameters.elements();
        assert_eq!(elements(&new), elements(&model));
    }
}
