//! A few short records of a batch, as a batch of its own.

use crate::collate::{Batch, Column, Lists};
use crate::encoder::Sequences;

/// Negatives of a record at most.
const NEGATIVES_MAX: usize = 2;

/// At most `rows` records of a batch, their texts cut to `tokens` tokens; the last token of a text
/// stays the last one. Records are taken such that a loss has something to tell apart: two of one
/// label and others of other labels, the lowest and the highest score.
pub fn cut(batch: &Batch, rows: usize, tokens: usize) -> Batch {
    let picked = pick(batch, rows);
    let negatives = negatives(batch, &picked);
    let take = |name: &str| match name == "negatives" && !batch.negatives.is_empty() {
        true => &negatives,
        false => &picked,
    };
    let columns = batch.columns.iter();
    let columns = columns.map(|column| column_of(column, take(column.name), tokens));
    let lists = |lists: &Lists| documents(batch, lists, &picked, &negatives);
    let behind = negatives.iter().map(|&number| batch.rows() + number);
    let scored: Vec<usize> = picked.iter().copied().chain(behind).collect();
    let per_record = picked.iter();
    Batch {
        step: batch.step,
        epoch: batch.epoch,
        columns: columns.collect(),
        record_ids: per_record
            .clone()
            .map(|&row| batch.record_ids[row])
            .collect(),
        corpora: some(&batch.corpora, &picked),
        topics: some(&batch.topics, &picked),
        negatives: some(&batch.negatives, &picked)
            .iter()
            .map(|&count| count.min(NEGATIVES_MAX as u32))
            .collect(),
        positives: lists(&batch.positives),
        ignored: lists(&batch.ignored),
        labels: some(&batch.labels, &picked),
        scores: some(&batch.scores, &picked),
        teacher: some(&batch.teacher, &scored),
        bytes: 0,
        times: batch.times,
    }
}

/// The entries of some rows; none where there are none at all.
fn some<T: Clone>(all: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter()
        .filter_map(|&row| all.get(row).cloned())
        .collect()
}

/// Numbers of the records to take, in their order.
fn pick(batch: &Batch, rows: usize) -> Vec<usize> {
    let all = 0..batch.rows();
    let mut first = Vec::new();
    if !batch.labels.is_empty() {
        let same = |row: usize| {
            let others = row + 1..batch.rows();
            let mut others = others.filter(|&other| batch.labels[other] == batch.labels[row]);
            others.next().map(|other| [row, other])
        };
        first.extend(all.clone().find_map(same).into_iter().flatten());
        if let Some(&row) = first.first() {
            first.extend(
                all.clone()
                    .find(|&other| batch.labels[other] != batch.labels[row]),
            );
        }
    }
    if !batch.scores.is_empty() {
        let by_score = |a: &usize, b: &usize| batch.scores[*a].total_cmp(&batch.scores[*b]);
        first.extend(all.clone().min_by(by_score));
        first.extend(all.clone().max_by(by_score));
    }
    let mut picked = Vec::new();
    for row in first.into_iter().chain(all) {
        if picked.len() < rows && !picked.contains(&row) {
            picked.push(row);
        }
    }
    picked.sort_unstable();
    picked
}

/// Numbers of the negatives of some records.
fn negatives(batch: &Batch, rows: &[usize]) -> Vec<usize> {
    let mut start = 0;
    let mut taken = Vec::new();
    for (row, &count) in batch.negatives.iter().enumerate() {
        if rows.contains(&row) {
            taken.extend((start..start + count as usize).take(NEGATIVES_MAX));
        }
        start += count as usize;
    }
    taken
}

/// Lists of documents with the numbers that they have in the cut batch; others are left out.
fn documents(batch: &Batch, lists: &Lists, rows: &[usize], negatives: &[usize]) -> Lists {
    let mut cut = Lists::default();
    let number = |&document: &u32| {
        let document = document as usize;
        let place = match document.checked_sub(batch.rows()) {
            None => rows.iter().position(|&row| row == document),
            Some(negative) => {
                let place = negatives.iter().position(|&taken| taken == negative);
                place.map(|place| rows.len() + place)
            }
        };
        place.map(|place| place as u32)
    };
    for &row in rows.iter().filter(|_| !lists.is_empty()) {
        let items: Vec<u32> = lists.get(row).iter().filter_map(number).collect();
        cut.push(&items);
    }
    cut
}

/// Some texts of each view block of a column.
fn column_of(column: &Column, texts: &[usize], tokens: usize) -> Column {
    let sequences = Sequences::of_columns(std::slice::from_ref(column));
    let mut cut = Column {
        name: column.name,
        views: column.views,
        texts: texts.len(),
        width: column.width.min(tokens),
        word_ids: column.word_ids.as_ref().map(|_| Vec::new()),
        ..Column::default()
    };
    for block in 0..column.views {
        for text in texts {
            let span = sequences.span(block * column.texts + text);
            let length = span.len().min(tokens);
            let places = (span.start..span.start + length.saturating_sub(1))
                .chain((length > 0).then(|| span.end - 1));
            let end = cut.ids.len() + cut.width;
            cut.lengths.push(length as u32);
            cut.ids
                .extend(places.clone().map(|place| sequences.ids[place]));
            cut.ids.resize(end, 0);
            if let (Some(words), Some(all)) = (&mut cut.word_ids, &sequences.words) {
                words.extend(places.map(|place| all[place]));
                words.resize(end, crate::collate::NO_WORD);
            }
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::cut;
    use crate::collate::{Batch, Lists};
    use crate::encoder::Sequences;
    use crate::encoder::fixtures::config;
    use crate::gradcache::fixtures;

    fn lists(all: &[&[u32]]) -> Lists {
        let mut lists = Lists::default();
        all.iter().for_each(|items| lists.push(items));
        lists
    }

    #[test]
    fn a_cut_batch_says_what_the_whole_says() {
        let mut batch = fixtures::batch(&config());
        batch.columns[0].word_ids = Some((0..batch.columns[0].ids.len() as u16).collect());
        batch.positives = lists(&[&[1, 5, 6], &[0], &[], &[], &[], &[]]);
        batch.ignored = lists(&[&[7, 9], &[], &[8, 2], &[10], &[], &[]]);
        batch.teacher = (0..13).map(|document| document as f32).collect();
        let small = cut(&batch, 3, 5);
        assert_eq!(small.teacher, [0.0, 1.0, 2.0, 6.0, 7.0, 8.0]);
        assert_eq!(small.record_ids, [0, 1, 2]);
        assert_eq!(small.negatives, [2, 0, 1]);
        let texts: Vec<_> = small
            .columns
            .iter()
            .map(|own| (own.views, own.texts))
            .collect();
        assert_eq!(texts, [(2, 3), (1, 3), (1, 3)]);
        // Documents 0 to 2 are positives; 6, 7 and 8 were negatives, 3, 4 and 5 they are now.
        assert_eq!(small.positives, lists(&[&[1, 3], &[0], &[]]));
        assert_eq!(small.ignored, lists(&[&[4], &[], &[5, 2]]));
        let (whole, part) = (
            Sequences::of_columns(&batch.columns),
            Sequences::of_columns(&small.columns),
        );
        let rows = [0, 1, 2, 6, 7, 8, 12, 13, 14, 18, 19, 20];
        assert_eq!(part.rows(), rows.len());
        for (own, row) in rows.into_iter().enumerate() {
            let (all, cut) = (&whole.ids[whole.span(row)], &part.ids[part.span(own)]);
            let length = all.len().min(5);
            assert_eq!(cut.len(), length);
            assert_eq!(cut[..length - 1], all[..length - 1]);
            assert_eq!(cut.last(), all.last());
        }
    }

    #[test]
    fn words_go_along() {
        let mut batch = fixtures::batch(&config());
        for column in &mut batch.columns {
            column.word_ids = Some(column.ids.iter().map(|&id| id as u16 + 100).collect());
        }
        let small = Sequences::of_columns(&cut(&batch, 2, 4).columns);
        let words = small.words.unwrap();
        assert!(
            words
                .iter()
                .zip(&small.ids)
                .all(|(&word, &id)| u32::from(word) == id + 100)
        );
    }

    #[test]
    fn labels_and_scores_choose_records() {
        let mut batch = fixtures::batch(&config());
        batch.labels = ["a", "b", "c", "d", "e", "c"].map(String::from).to_vec();
        assert_eq!(cut(&batch, 3, 9).labels, ["a", "c", "c"]);
        batch.labels.clear();
        batch.scores = vec![0.5, 0.5, 0.5, 0.1, 0.5, 0.9];
        assert_eq!(cut(&batch, 3, 9).scores, [0.5, 0.1, 0.9]);
        assert_eq!(cut(&batch, 9, 9).rows(), 6);
        assert_eq!(cut(&Batch::default(), 4, 16), Batch::default());
    }
}
