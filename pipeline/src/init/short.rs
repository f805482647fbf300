//! Short texts: how many records of a corpus the filter of lengths would drop.

use super::Layout;
use super::sample::Sample;
use crate::readers::{Document, Framing, Reader, ReaderOptions, reader};
use crate::views::View;

/// Lines that are looked at, and the fewest records of which a share means something.
const LINES_MAX: usize = 500;
const RECORDS_MIN: usize = 20;

/// A warning if a tenth or more of the pairs, triplets or labelled texts hold a text of fewer
/// characters than the plan will keep.
pub fn warning(sample: &Sample, layout: &Layout, chars_min: u32) -> Option<String> {
    let options = ReaderOptions {
        columns: layout.columns.clone(),
        header: layout.header,
        paragraphs: layout.paragraphs,
    };
    let reader = reader(layout.reader, &options).ok()?;
    if reader.framing() != Framing::Lines {
        return None;
    }
    let (mut records, mut short) = (0, 0);
    for line in sample
        .lines()
        .take(LINES_MAX)
        .filter(|line| !reader.is_header(line))
    {
        for texts in texts(reader.as_ref(), layout, line) {
            records += 1;
            short += usize::from(texts.iter().any(|count| *count < chars_min as usize));
        }
    }
    (records >= RECORDS_MIN && short * 10 >= records).then(|| {
        format!(
            "Of its records about {} in 100 hold a text of fewer than {chars_min} characters and will be dropped; \
             lower chars_min in [shards.filters.length] to keep them.",
            short * 100 / records
        )
    })
}

/// Characters of the texts of each record that columns of a line make, sentences aside.
fn texts(reader: &dyn Reader, layout: &Layout, line: &str) -> Vec<Vec<usize>> {
    let mut document = Document::default();
    document.clear(reader.columns().len());
    if reader.read(line, &mut document).is_err() {
        return Vec::new();
    }
    let chars = |text: &str| text.trim().chars().count();
    let column = |at: usize| chars(&document.columns[at]);
    let mut records: Vec<Vec<usize>> = Vec::new();
    for view in &layout.views {
        match View::parse(view, reader) {
            Ok(View::Pair(one, two) | View::Scored(one, two, _)) => {
                records.push(vec![column(one), column(two)]);
            }
            Ok(View::Triplet(one, two, three)) => {
                records.push(vec![column(one), column(two), column(three)]);
            }
            Ok(View::Labelled(text, _)) => records.push(vec![column(text)]),
            Ok(View::Records) => {
                let native = document.records.iter();
                records.extend(
                    native.map(|record| record.texts.iter().map(|text| chars(text)).collect()),
                );
            }
            _ => {}
        }
    }
    // Empty texts are dropped whatever the plan says.
    records.retain(|texts| !texts.contains(&0));
    records
}
