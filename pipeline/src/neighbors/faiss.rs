//! Search through the faiss library: any index that its factory can make.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use faiss::cluster::{Clustering, ClusteringParameters};
use faiss::index::IndexImpl;
use faiss::index::autotune::ParameterSpace;
use faiss::{Index, MetricType, index_factory};

use super::{Hit, Matrix, Neighbors, TopK};
use crate::error::{Error, Result};
use crate::flow::workers::Team;

/// Rows that are given to the library at a time.
const ROWS: usize = 65_536;

/// Rows for each list that an index of inverted lists is trained on.
const SAMPLES_PER_LIST: usize = 64;

/// A faiss index over the rows of a matrix, by inner product.
pub struct Faiss {
    matrix: Matrix,
    factory: String,
    index: Mutex<IndexImpl>,
}

unsafe extern "C" {
    fn omp_set_num_threads(threads: std::ffi::c_int);
}

/// Threads that the library may use from now on; it has no call of its own for this.
fn use_threads(threads: usize) {
    // SAFETY: a call of the OpenMP runtime, which faiss is linked with; any positive number does.
    unsafe { omp_set_num_threads(threads.max(1) as std::ffi::c_int) };
}

fn failed(what: &str) -> impl FnOnce(faiss::error::Error) -> Error {
    let what = what.to_string();
    move |error| Error::Usage(format!("faiss: {what}: {error}"))
}

impl Faiss {
    /// Trains the index that `factory` describes, such as `IVF4096,Flat` or `HNSW32`, and adds
    /// all rows.
    ///
    /// # Errors
    /// The library does not know the description, or fails.
    pub fn new(matrix: Matrix, factory: &str, team: &Team<'_>) -> Result<Faiss> {
        use_threads(team.threads);
        let dimension = matrix.dimension() as u32;
        let mut index = index_factory(dimension, factory, MetricType::InnerProduct)
            .map_err(failed(&format!("factory = \"{factory}\"")))?;
        if !index.is_trained() {
            let lists = number_after(factory, "IVF").unwrap_or(256);
            let wanted = (lists * SAMPLES_PER_LIST).clamp(1, matrix.rows());
            let sample: Vec<u32> = (0..wanted)
                .map(|at| (at as u64 * matrix.rows() as u64 / wanted as u64) as u32)
                .collect();
            let mut vectors = Vec::new();
            matrix.gather(&sample, &mut vectors);
            index.train(&vectors).map_err(failed("training"))?;
        }
        let mut buffer = Vec::new();
        for start in (0..matrix.rows()).step_by(ROWS) {
            let rows = matrix.at(start..(start + ROWS).min(matrix.rows()), &mut buffer);
            let count = rows.len() / matrix.dimension();
            index.add(rows).map_err(failed("adding vectors"))?;
            if let Some(done) = team.done {
                done.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
        Ok(Faiss {
            matrix,
            factory: factory.into(),
            index: Mutex::new(index),
        })
    }
}

/// Unit vectors in the middle of `lists` groups of all rows, by the library's spherical k-means.
///
/// # Errors
/// The library fails.
pub fn faiss_middles(
    rows: &[f32],
    dimension: usize,
    lists: usize,
    rounds: usize,
    seed: u64,
    threads: usize,
) -> Result<Vec<f32>> {
    use_threads(threads);
    let mut parameters = ClusteringParameters::new();
    parameters.set_spherical(true);
    parameters.set_niter(rounds as u32);
    // The library keeps a signed number.
    parameters.set_seed(seed as u32 & 0x7fff_ffff);
    parameters.set_min_points_per_centroid(1);
    parameters.set_max_points_per_centroid((rows.len() / dimension) as u32);
    let (width, count) = (dimension as u32, lists as u32);
    let mut index = index_factory(width, "Flat", MetricType::InnerProduct)
        .map_err(failed("kmeans = \"faiss\""))?;
    let clustering = Clustering::new_with_params(width, count, &parameters);
    let mut clustering = clustering.map_err(failed("kmeans = \"faiss\""))?;
    clustering
        .train(rows, &mut index)
        .map_err(failed("kmeans = \"faiss\""))?;
    let middles = clustering.centroids().map_err(failed("middles"))?;
    Ok(middles.concat())
}

/// The number that follows a word in a factory string.
pub fn number_after(factory: &str, word: &str) -> Option<usize> {
    let rest = factory
        .split(',')
        .find_map(|part| part.strip_prefix(word))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

impl Neighbors for Faiss {
    fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    fn offer_vectors(&self, vectors: &[f32], best: &mut TopK) -> Result<()> {
        let wanted = best.wanted().min(self.matrix.rows());
        let mut index = self.index.lock().expect("no holder panics");
        let found = index.search(vectors, wanted).map_err(failed("search"))?;
        let hits = found.distances.iter().zip(&found.labels);
        for (at, (&cosine, label)) in hits.enumerate() {
            if let Some(id) = label.get() {
                let id = id as u32;
                best.offer(at / wanted, Hit { id, cosine });
            }
        }
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn set_probes(&mut self, probes: usize) -> Result<()> {
        let parameter = match &self.factory {
            factory if factory.contains("IVF") => ("nprobe", probes),
            factory if factory.contains("HNSW") => ("efSearch", probes * 4),
            _ => return Ok(()),
        };
        let space = ParameterSpace::new().map_err(failed("parameters"))?;
        let index = self.index.get_mut().expect("no holder panics");
        space
            .set_index_parameter(index, parameter.0, parameter.1 as f64)
            .map_err(failed(parameter.0))
    }
}
