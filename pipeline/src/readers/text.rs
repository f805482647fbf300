//! Plain text: a line or a paragraph is a document.

use super::{Column, Document, Framing, Reader, ReaderOptions, Reject, Role, column};

/// The `text` reader: one column, `text`.
///
/// # Errors
/// Names the option that plain text cannot have.
pub fn reader(options: &ReaderOptions) -> Result<Box<dyn Reader>, String> {
    if options.header {
        return Err("reader `text` has no `header`: every line is a document; for tables use `tsv` or `csv`".into());
    }
    if !options.columns.is_empty() && options.columns != ["text"] {
        return Err(
            "reader `text` has the one column `text`; for tables use `tsv` or `csv`".into(),
        );
    }
    let framing = if options.paragraphs {
        Framing::Paragraphs
    } else {
        Framing::Lines
    };
    Ok(Box::new(Text {
        columns: [column("text", Role::Text)],
        framing,
    }))
}

struct Text {
    columns: [Column; 1],
    framing: Framing,
}

impl Reader for Text {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn views(&self) -> Vec<String> {
        vec!["sentences".into()]
    }

    fn read<'a>(&self, raw: &'a str, document: &mut Document<'a>) -> Result<(), Reject> {
        document.columns[0] = raw.strip_suffix('\r').unwrap_or(raw).into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &ReaderOptions, raw: &str) -> String {
        let reader = reader(options).unwrap();
        let mut document = Document::default();
        document.clear(reader.columns().len());
        reader.read(raw, &mut document).unwrap();
        document.columns[0].to_string()
    }

    #[test]
    fn a_line_is_a_document() {
        let options = ReaderOptions::default();
        assert_eq!(
            read(&options, "质量很好，\"推荐\"。\r"),
            "质量很好，\"推荐\"。"
        );
        assert_eq!(reader(&options).unwrap().framing(), Framing::Lines);
    }

    #[test]
    fn a_paragraph_is_a_document() {
        let options = ReaderOptions {
            paragraphs: true,
            ..ReaderOptions::default()
        };
        assert_eq!(read(&options, "第一行\n第二行"), "第一行\n第二行");
        assert_eq!(reader(&options).unwrap().framing(), Framing::Paragraphs);
    }

    #[test]
    fn options_of_tables_are_errors() {
        let header = ReaderOptions {
            header: true,
            ..ReaderOptions::default()
        };
        assert!(reader(&header).err().unwrap().contains("header"));
        let columns = ReaderOptions {
            columns: vec!["a".into(), "b".into()],
            ..ReaderOptions::default()
        };
        assert!(reader(&columns).err().unwrap().contains("one column"));
    }
}
