//! The clusters: trained on a sample, then split and merged until all records fit the bounds.
//!
//! The middles are trained on a sample in memory. Sizes are those of all records, counted in a
//! pass over the shards; a cluster that is too large gets middles of its own, trained on its
//! members in the sample, and the next pass counts again. Only then small ones are merged.

use std::io::Write;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::rows_hash::RowsHash;
use serde::{Deserialize, Serialize};

use super::draw::draw;
use super::merge::{Merged, merge};
use super::records::Records;
use super::source::{TextVectors, blocks};
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers::Team;
use crate::neighbors::{Cells, Matrix, inertia, middles};
use crate::plan::{Kmeans, Plan, TopicsOptions};
use crate::stages::RunOptions;

/// Most records of the sample, unless the plan says otherwise.
const SAMPLE_MAX: usize = 1_000_000;

/// Records of the sample for each cluster.
const SAMPLES_PER_TOPIC: usize = 256;

/// Most clusters, unless the plan says otherwise.
const TOPICS_MAX: f64 = 4096.0;

/// Passes of splitting; after half of them what is too large is split by chance.
const PASSES: usize = 16;

/// Members in the sample that a new cluster needs.
const MEMBERS_MIN: usize = 4;

/// Share of the members in one child above which a split by middles was of no use.
const USELESS: f64 = 0.95;

/// What is known of the training, for the report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Trained {
    /// Records that the middles were trained on.
    pub sample: u64,
    /// Clusters that were trained.
    pub clusters: u64,
    /// Mean distance of the sample from the middles, in millionths.
    pub distance_millionths: u64,
    /// Clusters that were split because they were too large.
    pub split: u64,
}

/// Finished clusters.
pub struct Clusters {
    /// The way from a vector to its leaf.
    pub cells: Cells,
    /// The topics and what was merged.
    pub merged: Merged,
    /// How they were trained.
    pub trained: Trained,
}

/// Everything that the parts share.
pub struct Job<'j> {
    /// The plan.
    pub plan: &'j Plan,
    /// Its table.
    pub table: &'j TopicsOptions,
    /// How to run.
    pub options: &'j RunOptions,
    /// The shards.
    pub records: &'j Records<'j>,
    /// The dataset.
    pub writer: &'j DatasetWriter,
    /// Vectors of texts.
    pub source: &'j dyn TextVectors,
}

impl Job<'_> {
    /// Makes the clusters, or goes on where a run was stopped.
    ///
    /// # Errors
    /// Not one record has a vector; memory; the disk; an interruption.
    pub fn run(&self) -> Result<Clusters> {
        let mut sample = None;
        let (mut pass, mut cells, mut trained) = match self.found()? {
            Some(found) => found,
            None => {
                let (cells, trained) = self.train(self.sample(&mut sample)?)?;
                self.keep(0, &cells, &trained)?;
                (0, cells, trained)
            }
        };
        let max = self.table.size_max.unwrap_or(u64::MAX);
        let sizes = loop {
            let sizes = self.count(&cells)?;
            let large: Vec<usize> = cells.leaves().filter(|&leaf| sizes[leaf] > max).collect();
            if large.is_empty() || pass >= PASSES {
                break sizes;
            }
            pass += 1;
            trained.split += large.len() as u64;
            self.split(self.sample(&mut sample)?, &mut cells, &large, &sizes, pass)?;
            self.keep(pass, &cells, &trained)?;
        };
        let merged = merge(&cells, &sizes, self.table.size_min, max);
        Ok(Clusters {
            cells,
            merged,
            trained,
        })
    }

    /// Clusters to train.
    fn wanted(&self) -> usize {
        let auto = (self.records.manifest.rows as f64 / 2.0).sqrt().round();
        let auto = auto.clamp(2.0, TOPICS_MAX) as usize;
        self.table.topics.unwrap_or(auto)
    }

    fn sample<'s>(&self, sample: &'s mut Option<Matrix>) -> Result<&'s Matrix> {
        if sample.is_none() {
            let auto = SAMPLE_MAX.min(self.wanted().saturating_mul(SAMPLES_PER_TOPIC));
            let wanted = self.table.sample.unwrap_or(auto.max(self.wanted()));
            let (seed, memory) = (self.plan.seed, self.options.memory_bytes);
            let drawn = draw(self.records, self.source, wanted, seed, memory)?;
            if drawn.is_empty() {
                return Err(Error::Plan {
                    path: self.plan.path.clone(),
                    message: "[topics] not one of the sampled records has a vector".into(),
                });
            }
            *sample = Some(Matrix::new(drawn, self.source.dimension()));
        }
        Ok(sample.as_ref().expect("just drawn"))
    }

    fn train(&self, sample: &Matrix) -> Result<(Cells, Trained)> {
        let count = self.wanted().min(sample.rows());
        let rounds = self.table.rounds;
        let total = (sample.rows() * (rounds + 1)) as u64;
        let phase = Phase::of_rows("train", total, self.options.quiet);
        let team = Team {
            done: Some(&phase.counters.rows),
            ..self.records.team("train")
        };
        let found = match self.table.kmeans {
            Kmeans::Own => middles(sample, count, rounds, self.plan.seed, &team)?,
            Kmeans::Faiss => self.faiss(sample, count)?,
        };
        let distance = inertia(sample, &found, &team)?;
        let dimension = sample.dimension();
        let trained = Trained {
            sample: sample.rows() as u64,
            clusters: (found.len() / dimension) as u64,
            distance_millionths: (distance * 1e6).round() as u64,
            split: 0,
        };
        Ok((Cells::new(&found, dimension, self.plan.seed), trained))
    }

    #[cfg(feature = "faiss")]
    fn faiss(&self, sample: &Matrix, count: usize) -> Result<Vec<f32>> {
        let mut buffer = Vec::new();
        let rows = sample.at(0..sample.rows(), &mut buffer);
        let (rounds, seed) = (self.table.rounds, self.plan.seed);
        let threads = self.options.threads;
        crate::neighbors::faiss_middles(rows, sample.dimension(), count, rounds, seed, threads)
    }

    #[cfg(not(feature = "faiss"))]
    fn faiss(&self, _: &Matrix, _: usize) -> Result<Vec<f32>> {
        unreachable!("the plan was refused when it was read")
    }

    /// Records in each node that is a leaf.
    fn count(&self, cells: &Cells) -> Result<Vec<u64>> {
        let counts = self.records.each_group("sizes", |_, rows| {
            let mut sizes = vec![0u32; cells.nodes()];
            let every = |_| true;
            blocks(rows, self.source, every, |block| {
                let leaves = cells.locate(&block.vectors, &block.ids);
                leaves.iter().for_each(|&leaf| sizes[leaf as usize] += 1);
                Ok(())
            })?;
            Ok(sizes)
        })?;
        let mut sizes = vec![0u64; cells.nodes()];
        for own in counts {
            sizes
                .iter_mut()
                .zip(own)
                .for_each(|(a, b)| *a += u64::from(b));
        }
        Ok(sizes)
    }

    /// Splits leaves that are too large.
    fn split(
        &self,
        sample: &Matrix,
        cells: &mut Cells,
        large: &[usize],
        sizes: &[u64],
        pass: usize,
    ) -> Result<()> {
        let mut members = vec![Vec::new(); cells.nodes()];
        let mut buffer = Vec::new();
        for start in (0..sample.rows()).step_by(4096) {
            let range = start..(start + 4096).min(sample.rows());
            // Members of parts, which are filled by the ids of records, are spread evenly instead.
            let ids: Vec<u128> = range.clone().map(|at| at as u128).collect();
            let leaves = cells.locate(sample.at(range.clone(), &mut buffer), &ids);
            let pairs = range.zip(leaves);
            pairs.for_each(|(row, leaf)| members[leaf as usize].push(row as u32));
        }
        let max = self.table.size_max.unwrap_or(u64::MAX) as f64;
        for &leaf in large {
            let parts = (sizes[leaf] as f64 * 1.2 / max).ceil().max(2.0) as usize;
            match self.children(sample, &members[leaf], parts, leaf, pass)? {
                Some(middles) => cells.split(leaf, &middles),
                None => cells.part(leaf, parts),
            }
        }
        Ok(())
    }

    /// Middles for the children of a leaf; none if its members cannot be told apart.
    fn children(
        &self,
        sample: &Matrix,
        members: &[u32],
        parts: usize,
        leaf: usize,
        pass: usize,
    ) -> Result<Option<Vec<f32>>> {
        let parts = parts.min(members.len() / MEMBERS_MIN);
        if parts < 2 || pass > PASSES / 2 {
            return Ok(None);
        }
        let (mut own, dimension) = (Vec::new(), sample.dimension());
        sample.gather(members, &mut own);
        let matrix = Matrix::new(own, dimension);
        let team = self.records.team("split");
        let seed = self.plan.seed ^ ((leaf as u64) << 32);
        let found = middles(&matrix, parts, self.table.rounds, seed, &team)?;
        let cells = Cells::new(&found, dimension, seed);
        let mut buffer = Vec::new();
        let ids = vec![0; matrix.rows()];
        let leaves = cells.locate(matrix.at(0..matrix.rows(), &mut buffer), &ids);
        let mut sizes = vec![0usize; cells.nodes()];
        leaves.iter().for_each(|&leaf| sizes[leaf as usize] += 1);
        let largest = sizes.into_iter().max().unwrap_or_default();
        let useful = (largest as f64) < members.len() as f64 * USELESS;
        Ok(useful.then_some(found))
    }

    fn name(pass: usize) -> String {
        format!("cells/pass-{pass:02}")
    }

    fn keep(&self, pass: usize, cells: &Cells, trained: &Trained) -> Result<()> {
        let name = Job::name(pass);
        let mut file = self.writer.create(&name)?;
        file.write_all(&cells.to_bytes())
            .map_err(juzi_schemas::Error::io(self.writer.dir().join(&name)))?;
        let note = serde_json::to_value(trained).expect("plain numbers have a JSON form");
        let rows = RowsHash::default();
        self.writer.commit(file, Durability::Scratch, rows, note)?;
        Ok(())
    }

    /// The cells after the last pass that a stopped run finished.
    fn found(&self) -> Result<Option<(usize, Cells, Trained)>> {
        let passes = (0..=PASSES).rev();
        let found =
            passes.filter_map(|pass| Some((pass, self.writer.committed(&Job::name(pass))?)));
        let Some((pass, entry)) = found.into_iter().next() else {
            return Ok(None);
        };
        let path = self.writer.dir().join(&entry.name);
        let bytes = std::fs::read(&path).map_err(Error::input(&path))?;
        let cells = Cells::from_bytes(&bytes, self.source.dimension(), self.plan.seed);
        let trained = serde_json::from_value(entry.note).expect("the journal's lines are checked");
        let cells = cells.ok_or_else(|| Error::Content {
            path,
            message: "no cells; delete the unfinished dataset".into(),
        })?;
        Ok(Some((pass, cells, trained)))
    }
}
