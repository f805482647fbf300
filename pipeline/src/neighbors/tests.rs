//! Each search against the plainest one.

use super::{Exact, Hit, Ivf, Matrix, Neighbors, Precision, TopK, nearest, recall};
use crate::flow::workers::Team;

const TEAM: Team<'static> = Team {
    threads: 2,
    name: "test",
    resume: "",
    done: None,
};

/// Unit vectors around some middles, with some rows twice.
fn vectors(rows: usize, dimension: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut draw = || {
        state = juzi_schemas::random::fold(state ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let middles: Vec<f32> = (0..dimension * 20).map(|_| draw()).collect();
    let mut values: Vec<f32> = Vec::new();
    for row in 0..rows {
        let start = if row % 10 == 9 {
            (row - 5) * dimension
        } else {
            values.len()
        };
        if start < values.len() {
            values.extend_from_within(start..start + dimension);
            continue;
        }
        let middle = &middles[row * 7 % 20 * dimension..][..dimension];
        let vector: Vec<f32> = middle.iter().map(|x| x + 0.6 * draw()).collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        values.extend(vector.iter().map(|x| x / length));
    }
    values
}

/// All pairs, one after another.
fn brute_force(matrix: &Matrix, queries: &[u32], k: usize) -> Vec<Hit> {
    let mut found = Vec::new();
    for &query in queries {
        let others = (0..matrix.rows() as u32).filter(|&id| id != query);
        let mut hits: Vec<Hit> = others
            .map(|id| Hit {
                id,
                cosine: matrix.cosine(query, id),
            })
            .collect();
        hits.sort_by(Hit::order);
        hits.resize(k, Hit::NOTHING);
        found.extend(hits);
    }
    found
}

fn all(rows: usize) -> Vec<u32> {
    (0..rows as u32).collect()
}

#[test]
fn exact_search_finds_what_brute_force_finds_ties_by_id() {
    for (rows, dimension, k) in [(700, 20, 7), (5, 3, 9), (1, 4, 2), (513, 33, 1)] {
        let exact = Exact::new(Matrix::new(vectors(rows, dimension, 3), dimension));
        let expected = brute_force(exact.matrix(), &all(rows), k);
        assert_eq!(nearest(&exact, &all(rows), k).unwrap(), expected);
    }
}

fn ivf(values: &[f32], dimension: usize, lists: usize, threads: usize) -> Ivf {
    let team = Team { threads, ..TEAM };
    let matrix = Matrix::new(values.to_vec(), dimension);
    let middles = Ivf::train(&matrix, lists, 5, &team).unwrap();
    let lists = Ivf::assign(&matrix, &middles, &team).unwrap();
    Ivf::new(matrix, middles, &lists)
}

#[test]
fn inverted_lists_find_all_when_all_are_looked_into_and_most_otherwise() {
    let (rows, dimension, k) = (3000, 24, 8);
    let values = vectors(rows, dimension, 11);
    let exact = nearest(
        &Exact::new(Matrix::new(values.clone(), dimension)),
        &all(rows),
        k,
    )
    .unwrap();
    let mut index = ivf(&values, dimension, 60, 1);
    index.set_probes(60).unwrap();
    assert_eq!(nearest(&index, &all(rows), k).unwrap(), exact);
    index.set_probes(12).unwrap();
    let found = nearest(&index, &all(rows), k).unwrap();
    let share = recall(&found, &exact, k);
    assert!(share > 0.9 && share <= 1.0, "{share}");
    index.set_probes(1).unwrap();
    let fewer = recall(&nearest(&index, &all(rows), k).unwrap(), &exact, k);
    assert!(fewer < share, "{fewer} {share}");
}

#[test]
fn neither_threads_nor_blocks_change_what_is_found() {
    let (rows, dimension, k) = (2000, 16, 5);
    let values = vectors(rows, dimension, 2);
    let found = |threads: usize, block: usize| {
        let mut index = ivf(&values, dimension, 40, threads);
        index.set_probes(6).unwrap();
        let blocks = all(rows);
        let hits = blocks
            .chunks(block)
            .map(|block| nearest(&index, block, k).unwrap());
        hits.collect::<Vec<_>>().concat()
    };
    let one = found(1, 2000);
    assert_eq!(found(8, 2000), one);
    assert_eq!(found(3, 77), one);
}

#[test]
fn half_precision_finds_nearly_the_same() {
    let (rows, dimension, k) = (1000, 40, 6);
    let values = vectors(rows, dimension, 8);
    let path = std::env::temp_dir().join(format!("juzi-half-{}", std::process::id()));
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    std::fs::write(&path, bytes).unwrap();
    let single = Exact::new(Matrix::read(&path, dimension, Precision::F32).unwrap());
    let half = Exact::new(Matrix::read(&path, dimension, Precision::F16).unwrap());
    let oracle = super::exact_in_file(&path, dimension, &all(rows), k, &TEAM).unwrap();
    std::fs::remove_file(&path).unwrap();
    let exact = nearest(&single, &all(rows), k).unwrap();
    assert!(recall(&oracle, &exact, k) > 0.9999);
    let found = nearest(&half, &all(rows), k).unwrap();
    assert!(recall(&found, &exact, k) > 0.97);
    for (found, exact) in found.iter().zip(&exact) {
        assert!((found.cosine - exact.cosine).abs() < 1e-3);
    }
}

#[test]
fn moved_rows_keep_their_ids() {
    let (rows, dimension) = (100, 5);
    let values = vectors(rows, dimension, 1);
    let still = Matrix::new(values.clone(), dimension);
    let mut moved = Matrix::new(values, dimension);
    let order: Vec<u32> = (0..rows as u32).map(|at| at * 37 % rows as u32).collect();
    moved.arrange(&order);
    let mut buffer = Vec::new();
    for (position, &id) in order.iter().enumerate() {
        let mut row = Vec::new();
        still.gather(&[id], &mut row);
        assert_eq!(moved.at(position..position + 1, &mut buffer), row);
        let mut gathered = Vec::new();
        moved.gather(&[id], &mut gathered);
        assert_eq!(gathered, row);
        assert_eq!(moved.cosine(id, 3), still.cosine(id, 3));
    }
}

#[cfg(feature = "faiss")]
#[test]
fn faiss_finds_what_we_find() {
    let (rows, dimension, k) = (1500, 24, 8);
    let values = vectors(rows, dimension, 4);
    let exact = Exact::new(Matrix::new(values.clone(), dimension));
    let expected = nearest(&exact, &all(rows), k).unwrap();
    let search = |factory: &str, probes: usize| {
        let matrix = Matrix::new(values.clone(), dimension);
        let mut index = super::Faiss::new(matrix, factory, &TEAM).unwrap();
        index.set_probes(probes).unwrap();
        nearest(&index, &all(rows), k).unwrap()
    };
    assert!(recall(&search("Flat", 1), &expected, k) > 0.9999);
    assert!(recall(&search("IVF30,Flat", 30), &expected, k) > 0.999);
    assert!(recall(&search("HNSW16", 32), &expected, k) > 0.95);
    let unknown = super::Faiss::new(Matrix::new(values.clone(), dimension), "NoSuch7", &TEAM);
    assert!(unknown.is_err());
}

#[test]
fn a_query_without_other_rows_has_no_hits() {
    let mut best = TopK::new(1, 3);
    assert!(best.candidates(0).is_empty());
    let exact = Exact::new(Matrix::new(vec![1.0, 0.0], 2));
    assert_eq!(nearest(&exact, &[0], 2).unwrap(), [Hit::NOTHING; 2]);
}
