//! What a training leaves in a checkpoint.

use std::collections::BTreeMap;

use candle_core::Tensor;
use juzi_schemas::fingerprint::Fingerprint;
use serde_json::{Value, json};

use super::Training;
use crate::Result;
use crate::checkpoint::{AVERAGE, CONFIG, Contents, FORMAT, HEADS, KEYS, LOSS};
use crate::checkpoint::{MODEL, OPTIMIZER, SEEN, State};
use crate::evaluators::Better;
use crate::parameters::Parameters;

impl Training {
    /// Writes a checkpoint of this moment; one that is due by the recipe counts for the best and for
    /// an early stop.
    ///
    /// # Errors
    /// The disk has too little room or refuses.
    pub fn checkpoint(&mut self, due: bool) -> Result<()> {
        if due {
            let event = self.score();
            self.events.write(&event)?;
        }
        self.record.mark()?;
        self.events.sync()?;
        self.checkpoints.write(self.contents())?;
        self.checkpointed = Some(self.position.step);
        Ok(())
    }

    /// Compares this moment with the best, by the loss or by what decides; gives the event of it.
    fn score(&mut self) -> Value {
        let mut event = json!({ "kind": "checkpoint", "step": self.position.step });
        let decided = self.decided().map(|(decides, metric)| {
            let metric = metric.map(|own| (own.value, own.better == Better::Higher));
            (decides.to_string(), metric)
        });
        let loss = self.position.end_interval();
        event["loss_mean"] = json!(loss);
        let value = match &decided {
            None => loss.map(|loss| (loss, false)),
            Some((_, metric)) => *metric,
        };
        let best = value.is_some_and(|(value, higher)| self.position.score(value, higher));
        event["best"] = best.into();
        if let Some((decides, Some((value, _)))) = decided {
            event["decides"] = decides.into();
            event["value"] = value.into();
        }
        event
    }

    /// Refuses to begin where no checkpoint would find room.
    pub(super) fn room(&self) -> Result<()> {
        self.checkpoints
            .room(self.position.step, self.largest_bytes())
    }

    /// Bytes of a checkpoint once all moments are there.
    fn largest_bytes(&self) -> u64 {
        let moments = 8 * self.model.parameters().elements() as u64;
        let without = Contents {
            tensors: self
                .tensors()
                .into_iter()
                .filter(|(name, _)| *name != OPTIMIZER)
                .collect(),
            ..self.contents()
        };
        without.bytes() + moments
    }

    fn contents(&self) -> Contents {
        let config = serde_json::to_string_pretty(&self.model.encoder.config);
        let seen = serde_json::to_string_pretty(self.record.seen());
        Contents {
            state: State {
                format: FORMAT,
                position: self.position,
                schedule: self.schedule,
                recipe: self.recipe.training_fingerprint(),
                dataset: self.source.fingerprint,
                events: self.events.position(),
                files: BTreeMap::new(),
                check: Fingerprint(0),
            },
            tensors: self.tensors(),
            texts: vec![
                (CONFIG, config.expect("sizes have a JSON form") + "\n"),
                (SEEN, seen.expect("a record has a JSON form") + "\n"),
            ],
        }
    }

    fn tensors(&self) -> Vec<(&'static str, BTreeMap<String, Tensor>)> {
        let loss = self.model.loss.as_ref();
        vec![
            (MODEL, named(&self.model.encoder.parameters)),
            (HEADS, named(&self.model.heads())),
            (OPTIMIZER, self.optimizer.state()),
            (
                AVERAGE,
                self.average.as_ref().map(named).unwrap_or_default(),
            ),
            (
                KEYS,
                self.keys
                    .as_ref()
                    .map(|keys| named(&keys.parameters))
                    .unwrap_or_default(),
            ),
            (LOSS, loss.map(|loss| loss.state()).unwrap_or_default()),
        ]
    }
}

fn named(parameters: &Parameters) -> BTreeMap<String, Tensor> {
    let all = parameters.iter();
    all.map(|parameter| (parameter.name.clone(), parameter.tensor().clone()))
        .collect()
}
