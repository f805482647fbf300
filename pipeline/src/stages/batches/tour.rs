//! The tour: an order of the topics in which neighbours stand beside each other.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::shard;

use crate::error::{Error, Result};

/// Topics up to which the tour compares all with all: some seconds.
const TOPICS_MAX: usize = 8192;

/// The place of each topic in the tour: greedy from topic 0, always on to the nearest one that was
/// not visited, by the cosine of their middles. Nothing if topics have no middles or are too many;
/// their numbers are their places then.
///
/// # Errors
/// The table of middles cannot be read.
pub fn read(dir: &Path, manifest: &Manifest) -> Result<Vec<u32>> {
    let (mut values, mut count) = (Vec::new(), 0);
    for file in manifest.files_of(Table::Middles) {
        let path = dir.join(&file.name);
        let wrong = || Error::Content {
            path: path.clone(),
            message: "no table of vectors of one length".into(),
        };
        for batch in shard::read(&path)? {
            let batch = batch?;
            let vectors = batch.column_by_name("vector").ok_or_else(wrong)?;
            let vectors = vectors.as_list_opt::<i32>().ok_or_else(wrong)?;
            for row in 0..vectors.len() {
                let vector = vectors.value(row);
                let vector = vector.as_primitive_opt::<Float32Type>().ok_or_else(wrong)?;
                count += 1;
                values.extend_from_slice(vector.values());
                if values.len() % count != 0 || values.len() / count != vector.len() {
                    return Err(wrong());
                }
            }
        }
    }
    match count {
        0 => Ok(Vec::new()),
        _ if count > TOPICS_MAX => Ok(Vec::new()),
        _ => Ok(greedy(&values, values.len() / count)),
    }
}

/// Places by nearest neighbours, the first of equally near ones.
fn greedy(values: &[f32], dimension: usize) -> Vec<u32> {
    let middles: Vec<&[f32]> = values.chunks_exact(dimension.max(1)).collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let scale: Vec<f32> = middles
        .iter()
        .map(|middle| 1.0 / dot(middle, middle).sqrt().max(f32::MIN_POSITIVE))
        .collect();
    let mut places = vec![u32::MAX; middles.len()];
    let mut here = 0;
    for place in 0..middles.len() as u32 {
        places[here] = place;
        let mut best = (f32::NEG_INFINITY, here);
        for other in (0..middles.len()).filter(|&other| places[other] == u32::MAX) {
            let cosine = dot(middles[here], middles[other]) * scale[other];
            if cosine > best.0 {
                best = (cosine, other);
            }
        }
        here = match best.1 == here {
            // No cosine is a number: any topic that was not visited.
            true => places
                .iter()
                .position(|place| *place == u32::MAX)
                .unwrap_or(here),
            false => best.1,
        };
    }
    places
}

#[cfg(test)]
mod tests {
    use super::greedy;

    #[test]
    fn neighbours_come_after_each_other() {
        let angles = [0.0f32, 2.0, 0.1, 1.0, 2.1];
        let values: Vec<f32> = angles
            .iter()
            .flat_map(|a| [3.0 * a.cos(), 3.0 * a.sin()])
            .collect();
        assert_eq!(greedy(&values, 2), [0, 3, 1, 2, 4]);
        assert_eq!(greedy(&[0.0; 6], 2), [0, 1, 2]);
        assert_eq!(greedy(&[f32::NAN; 6], 2), [0, 1, 2]);
        assert_eq!(greedy(&[], 2), [0u32; 0]);
    }
}
