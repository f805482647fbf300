//! Hardness: how near the nearest negative of an anchor is, by static text vectors.

use crate::samplers::Masks;
use crate::vectors::static_text::StaticText;

/// Anchors whose products with a document are taken at a time: the document is read once for all.
const ANCHORS: usize = 4;

/// Partial sums of a product: enough for any vector unit, and always the same number of them.
const LANES: usize = 16;

/// Vectors of a batch, filled row by row.
pub struct HardnessMeter<'w> {
    words: &'w StaticText,
    anchors: Vec<f32>,
    positives: Vec<f32>,
    negatives: Vec<f32>,
    vector: Vec<f32>,
    cosines: Vec<f32>,
}

impl<'w> HardnessMeter<'w> {
    /// A meter for batches.
    pub fn new(words: &'w StaticText) -> HardnessMeter<'w> {
        HardnessMeter {
            words,
            anchors: Vec::new(),
            positives: Vec::new(),
            negatives: Vec::new(),
            vector: vec![0.0; words.dimension()],
            cosines: Vec::new(),
        }
    }

    /// Adds the next row: its anchor, its positive, its negatives, each with its words. A text
    /// without a vector is near nothing.
    pub fn push(&mut self, texts: &[(&str, &[u16])]) {
        for (at, (text, words)) in texts.iter().enumerate() {
            if !self.words.embed(text, words, &mut self.vector) {
                self.vector.fill(0.0);
            }
            let list = match at {
                0 => &mut self.anchors,
                1 => &mut self.positives,
                _ => &mut self.negatives,
            };
            list.extend_from_slice(&self.vector);
        }
    }

    /// Mean over the anchors of the best cosine with a document that counts as a negative; empties
    /// the meter. Texts alone are documents of each other.
    pub fn measure(&mut self, masks: Option<&Masks>) -> Option<f32> {
        let dimension = self.words.dimension();
        if self.positives.is_empty() {
            self.positives.clone_from(&self.anchors);
        }
        self.positives.append(&mut self.negatives);
        let documents = self.positives.len() / dimension;
        products(&self.anchors, &self.positives, dimension, &mut self.cosines);
        let (mut sum, mut count) = (0.0f64, 0u32);
        for (row, cosines) in self.cosines.chunks_exact(documents.max(1)).enumerate() {
            let masked = |document: u32| {
                masks.is_some_and(|masks| {
                    masks.positives[row].binary_search(&document).is_ok()
                        || masks.ignored[row].binary_search(&document).is_ok()
                })
            };
            let best = (0u32..)
                .zip(cosines)
                .filter(|(number, _)| *number != row as u32 && !masked(*number))
                .map(|(_, cosine)| *cosine)
                .reduce(f32::max);
            if let Some(best) = best {
                sum += f64::from(best);
                count += 1;
            }
        }
        self.anchors.clear();
        self.positives.clear();
        (count > 0).then(|| (sum / f64::from(count)) as f32)
    }
}

/// Products of all anchors with all documents, anchor by anchor, in a fixed order of sums: the same
/// on every machine.
fn products(anchors: &[f32], documents: &[f32], dimension: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(
        anchors.len() / dimension * (documents.len() / dimension),
        0.0,
    );
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512.
        unsafe { products_avx512(anchors, documents, dimension, out) };
        return;
    } else if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { products_avx2(anchors, documents, dimension, out) };
        return;
    }
    products_plain(anchors, documents, dimension, out);
}

/// [`products_plain`] in the widest registers; without fused operations, so that sums are the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn products_avx512(anchors: &[f32], documents: &[f32], dimension: usize, out: &mut [f32]) {
    products_plain(anchors, documents, dimension, out);
}

/// The same in registers of half that width.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn products_avx2(anchors: &[f32], documents: &[f32], dimension: usize, out: &mut [f32]) {
    products_plain(anchors, documents, dimension, out);
}

#[inline(always)]
fn products_plain(anchors: &[f32], documents: &[f32], dimension: usize, out: &mut [f32]) {
    let width = documents.len() / dimension;
    let groups = anchors.chunks(ANCHORS * dimension);
    for (anchors, out) in groups.zip(out.chunks_mut((ANCHORS * width).max(1))) {
        for (number, document) in documents.chunks_exact(dimension).enumerate() {
            let mut sums = [[0f32; LANES]; ANCHORS];
            // A last group of fewer anchors takes its first one again, and does not look at it.
            let anchor = |at: usize| {
                let start = at * dimension % anchors.len();
                &anchors[start..start + dimension]
            };
            let rows: [&[f32]; ANCHORS] = std::array::from_fn(anchor);
            let (parts, rest) = document.as_chunks::<LANES>();
            for (at, part) in parts.iter().enumerate() {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let row = &row[at * LANES..(at + 1) * LANES];
                    for lane in 0..LANES {
                        sums[lane] += row[lane] * part[lane];
                    }
                }
            }
            let end = parts.len() * LANES;
            for (at, sums) in sums.iter().enumerate().take(anchors.len() / dimension) {
                let mut sum: f32 = sums.iter().sum();
                for (a, b) in rows[at][end..].iter().zip(rest) {
                    sum += a * b;
                }
                out[at * width + number] = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HardnessMeter, StaticText, products, products_plain};
    use crate::samplers::Masks;

    fn words() -> StaticText {
        StaticText::new(["东", "北", "斜"], vec![1.0, 0.0, 0.0, 2.0, 3.0, 3.0], 2)
    }

    #[test]
    fn the_best_negative_counts() {
        let words = words();
        let mut meter = HardnessMeter::new(&words);
        let one: &[u16] = &[1];
        meter.push(&[("东", one), ("东", one)]);
        meter.push(&[("北", one), ("斜", one), ("北", one)]);
        // Row 0: the best of 斜 and 北 is 斜; row 1: the best of 东 and 北 is 北.
        let half = 0.5f32.sqrt();
        let found = meter.measure(None).unwrap();
        assert!((found - (half + 1.0) / 2.0).abs() < 1e-6, "{found}");
        meter.push(&[("东", one), ("东", one)]);
        meter.push(&[("北", one), ("斜", one), ("北", one)]);
        let masks = Masks {
            positives: vec![vec![1], vec![]],
            ignored: vec![vec![], vec![2]],
            ..Masks::default()
        };
        assert_eq!(meter.measure(Some(&masks)), Some(0.0));
        meter.push(&[("东", one)]);
        meter.push(&[("斜", one)]);
        assert!((meter.measure(None).unwrap() - half).abs() < 1e-6);
        assert_eq!(meter.measure(None), None);
        meter.push(&[("无", one), ("东", one)]);
        assert_eq!(meter.measure(None), None);
    }

    #[test]
    fn registers_do_not_show() {
        let values: Vec<f32> = (0..37 * 7).map(|at| (at as f32).sin()).collect();
        let (anchors, mut one, mut two) = (&values[..37 * 6], Vec::new(), vec![0.0; 42]);
        products(anchors, &values, 37, &mut one);
        products_plain(anchors, &values, 37, &mut two);
        assert_eq!(one, two);
        for (at, found) in one.iter().enumerate() {
            let (a, b) = (&values[at / 7 * 37..][..37], &values[at % 7 * 37..][..37]);
            let wanted: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            assert!((found - wanted).abs() < 1e-4, "{at}: {found} {wanted}");
        }
    }
}
