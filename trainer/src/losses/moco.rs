//! MoCo: negatives from a queue of keys that a slowly following encoder made.
//!
//! **What it optimises.** Each query shall find its own key among the keys of the last batches:
//! `mean_i -log softmax([q_i·k_i | q_i·queue] / τ)[0]`. Keys carry no gradient. So the number of
//! negatives does not hang on the batch.
//!
//! **Reference.** He et al. 2020: queue 65,536, momentum 0.999, τ = 0.07. For sentences: MoCoSE (Cao
//! et al. 2022) with a queue of 512 and momentum 0.85, who found that old keys hurt; ESimCSE (Wu et
//! al. 2022) with a queue of 2.5 batches and momentum 0.995. Equal vectors and n keys in the queue
//! give ln(n + 1).
//!
//! **Columns.** `text` with 2 view blocks (the first is the query's, the last the key's), or
//! `anchor` and `positive`, and `negatives`: an anchor sees the keys of its own ones.
//!
//! **Recommendation.** ESimCSE's sizes where the batch is small. Where it fits into memory, or with
//! GradCache, a large batch of `info_nce` is better than a long queue.
//!
//! **Relation to others.** `info_nce` whose other columns come from the past. The queue starts empty
//! (the published one is full of random vectors) and only what is in it counts: the first batch has
//! no negatives and a loss of 0.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::pairs::{self, Pairs};
use super::{
    Inputs, Loss, Make, Masks, Matrix, Offer, Output, Place, Positives, Scale, Scaled, Similarity,
};
use crate::parameters::Parameters;
use crate::{Error, Result};

/// `name = "moco"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Moco {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// One over the temperature: 1 / 0.07.
    pub scale: Scale,
    /// Keys that are kept, at least 1; the oldest leave first.
    pub queue: usize,
    /// After each step the encoder of the keys becomes `momentum` of itself and the rest of the
    /// trained one; 0 to 1, 1 itself not.
    pub momentum: f64,
}

/// The queue in use.
struct Queue {
    options: Moco,
    scale: Scaled,
    /// Keys as the similarity prepared them. `[queue, D]`
    keys: Tensor,
    /// Rows of `keys` in use, from the first on.
    filled: usize,
    /// Where the next key goes.
    pointer: usize,
}

impl Default for Moco {
    fn default() -> Moco {
        Moco {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(1.0 / 0.07),
            queue: 65_536,
            momentum: 0.999,
        }
    }
}

impl Make for Moco {
    fn check(&self) -> std::result::Result<(), String> {
        self.scale.check()?;
        if !(1..=16_777_216).contains(&self.queue) {
            return Err(format!("queue = {}: 1 to 16777216", self.queue));
        }
        match (0.0..1.0).contains(&self.momentum) {
            true => Ok(()),
            false => Err(format!("momentum = {}: 0 to below 1", self.momentum)),
        }
    }

    fn build(&self, place: &Place) -> Result<Box<dyn Loss>> {
        let shape = (self.queue, place.dimension);
        Ok(Box::new(Queue {
            scale: self.scale.build(&place.device)?,
            keys: Tensor::zeros(shape, DType::F32, &place.device)?,
            filled: 0,
            pointer: 0,
            options: self.clone(),
        }))
    }
}

impl Queue {
    /// Queries as anchors, keys as documents.
    fn pairs(&self, inputs: &Inputs<'_>) -> Result<Pairs> {
        let missing = || Error::Defect("no keys of the momentum encoder".into());
        let keys = inputs.keys.ok_or_else(missing)?;
        Pairs::with_documents(inputs, keys)
    }

    /// Vectors of the momentum encoder as the similarity wants them.
    fn prepare(&self, keys: &Tensor) -> Result<Tensor> {
        Ok(self.options.similarity.prepare(&keys.detach())?.detach())
    }

    fn place(&self) -> Result<Tensor> {
        Ok(Tensor::new(
            &[self.filled as u32, self.pointer as u32],
            self.keys.device(),
        )?)
    }
}

impl Loss for Queue {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        pairs::check("moco", offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let pairs = self.pairs(inputs)?;
        let queries = self.options.similarity.prepare(&pairs.anchors)?;
        let keys = self.prepare(&pairs.documents()?)?;
        let (rows, documents) = (pairs.rows() as u32, keys.dim(0)? as u32);
        let columns = match self.filled {
            0 => keys,
            // A copy: the queue moves on while the graph of this step may still be in use.
            filled => Tensor::cat(&[&keys, &self.keys.narrow(0, 0, filled)?], 0)?,
        };
        let queue = documents..documents + self.filled as u32;
        let own = |row| {
            vec![
                row..row + 1,
                pairs.own_negatives(row as usize),
                queue.clone(),
            ]
        };
        let masks = Masks {
            seen: (0..rows).map(own).collect(),
            ..Masks::of_positives((0..rows).map(|row| vec![row]))
        };
        let matrix = Matrix {
            rows: &queries,
            columns: &columns,
            scale: &self.scale,
            positives: Positives::Uniform,
        };
        let mut output = matrix.contrast(&masks)?.output(&self.scale)?;
        output.figures.push(("queue", self.filled as f64));
        Ok(output)
    }

    fn steady(&self) -> bool {
        self.filled == self.options.queue
    }

    fn advance(&mut self, inputs: &Inputs<'_>) -> Result<()> {
        let keys = self.prepare(&self.pairs(inputs)?.positives)?;
        let (size, count) = (self.options.queue, keys.dim(0)?);
        // Of more keys than the queue holds the last ones stay, where they would have come to stand.
        let skipped = count.saturating_sub(size);
        let mut taken = skipped;
        self.pointer = (self.pointer + skipped) % size;
        while taken < count {
            let part = (count - taken).min(size - self.pointer);
            let keys = keys.narrow(0, taken, part)?.contiguous()?;
            self.keys.slice_set(&keys, 0, self.pointer)?;
            taken += part;
            self.pointer = (self.pointer + part) % size;
        }
        self.filled = size.min(self.filled + count);
        Ok(())
    }

    fn parameters(&self) -> Parameters {
        self.scale.parameters()
    }

    fn clamp(&self) -> Result<()> {
        self.scale.clamp()
    }

    fn momentum(&self) -> Option<f64> {
        Some(self.options.momentum)
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        // The queue is changed where it stands, so what goes out is a copy.
        let keys = self
            .keys
            .copy()
            .expect("there is memory for a second queue");
        let place = self.place().expect("two numbers make a tensor");
        BTreeMap::from([
            ("queue.keys".into(), keys),
            ("queue.filled_and_pointer".into(), place),
        ])
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let take = |name: &str, shape: &[usize]| match state.get(name) {
            Some(tensor) if tensor.dims() == shape => Ok(tensor),
            found => Err(Error::Usage(format!(
                "`{name}` of the loss `moco`: {shape:?} is wanted, found {:?}",
                found.map(Tensor::dims)
            ))),
        };
        let keys = take("queue.keys", self.keys.dims())?;
        let place = take("queue.filled_and_pointer", &[2])?.to_vec1::<u32>()?;
        let (filled, pointer) = (place[0] as usize, place[1] as usize);
        if filled > self.options.queue || pointer >= self.options.queue {
            let size = self.options.queue;
            return Err(Error::Usage(format!(
                "the loss `moco`: {filled} keys and a pointer of {pointer} in a queue of {size}"
            )));
        }
        self.keys = keys.to_device(self.keys.device())?.copy()?;
        (self.filled, self.pointer) = (filled, pointer);
        Ok(())
    }
}
