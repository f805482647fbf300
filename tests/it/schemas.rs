//! What other programs read: Parquet files against their description, and records to disk and back.

use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatchReader};
use arrow::datatypes::{DataType, Float32Type, UInt16Type, UInt32Type, UInt64Type};
use juzi_schemas::manifest::Table;
use juzi_schemas::record::{Kind, Layout, Row, RowsBuilder, Split};
use juzi_schemas::shard::{self, ShardWriter};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::{Value, json};

use crate::fixtures::{corpus, mixed, plan};
use crate::support::{Place, workspace};

/// The word that the descriptions have for a type.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".into(),
        DataType::FixedSizeBinary(width) => format!("fixed_size_binary[{width}]"),
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        other => other.to_string().to_lowercase(),
    }
}

fn described(table: &str, words: bool) -> Vec<Value> {
    let path = workspace().join(format!("schemas/json/{table}.json"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(columns) = value["columns"].take() else {
        panic!("{table} has no columns")
    };
    let plain = |column: &Value| json!([column["name"], column["type"], column["nullable"]]);
    let columns = columns.iter().map(plain);
    columns
        .filter(|column| words || column[0] != "words")
        .collect()
}

#[test]
fn files_have_the_columns_of_their_description() {
    let place = Place::new("schemas");
    let labelled = corpus(
        "labels",
        "tsv",
        "train = [\"labels.tsv\"]\ncolumns = [\"text\", \"label\"]",
    );
    place.write("labels.tsv", "今天股市又跌了\t财经\n");
    let tables = mixed(&place, "in").concat() + &labelled;
    for words in [false, true] {
        let dataset = place.make(&plan(
            &tables,
            &format!("words = {words}\ndropped_ratio_max = 1.0"),
        ));
        assert_eq!(dataset.manifest.kinds.len(), Kind::ALL.len());
        for file in &dataset.manifest.files {
            let table = match (file.table, file.kind) {
                (Table::Rows, Some(kind)) => format!("record-{}", kind.name()),
                _ => "dropped".into(),
            };
            let open = File::open(dataset.dir.join(&file.name)).unwrap();
            let builder = ParquetRecordBatchReaderBuilder::try_new(open).unwrap();
            let metadata = builder.metadata().file_metadata();
            assert_eq!(metadata.num_rows() as u64, file.rows);
            let format = metadata
                .key_value_metadata()
                .unwrap()
                .iter()
                .find(|pair| pair.key == "juzi.format");
            assert_eq!(format.unwrap().value.as_deref(), Some("1"));
            let reader = builder.build().unwrap();
            let fields = reader.schema().fields().clone();
            let found = fields.iter().map(|field| {
                json!([
                    field.name(),
                    type_name(field.data_type()),
                    field.is_nullable()
                ])
            });
            assert_eq!(
                found.collect::<Vec<_>>(),
                described(&table, words),
                "{}",
                file.name
            );
            let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
            assert_eq!(rows as u64, file.rows);
        }
    }
}

#[derive(Clone, Debug)]
struct Owned {
    id: u128,
    corpus: u16,
    split: Split,
    texts: Vec<String>,
    score: f32,
    document: u64,
    position: u32,
    topic: Option<String>,
    group: Option<String>,
    words: Vec<u16>,
}

fn rows(kind: Kind) -> impl Strategy<Value = Vec<Owned>> {
    let strings = match kind {
        Kind::Text => 1..2,
        Kind::Triplet => 2..6,
        Kind::Labelled | Kind::Pair | Kind::Scored => 2..3,
    };
    let head = (
        any::<u128>(),
        0..3_u16,
        proptest::sample::select(Split::ALL.to_vec()),
        vec(".{0,9}", strings),
    );
    let tail = (
        -1e6f32..1e6,
        any::<u64>(),
        any::<u32>(),
        of(".{0,5}"),
        of(".{0,5}"),
        vec(any::<u16>(), 0..9),
    );
    let row = (head, tail).prop_map(|((id, corpus, split, texts), tail)| {
        let (score, document, position, topic, group, words) = tail;
        Owned {
            id,
            corpus,
            split,
            texts,
            score,
            document,
            position,
            topic,
            group,
            words,
        }
    });
    vec(row, 1..30)
}

fn any_table() -> impl Strategy<Value = (Kind, Vec<Owned>)> {
    let of = |kind: Kind| rows(kind).prop_map(move |rows| (kind, rows));
    prop_oneof![
        of(Kind::Text),
        of(Kind::Labelled),
        of(Kind::Pair),
        of(Kind::Triplet),
        of(Kind::Scored),
        Just((Kind::Text, Vec::new()))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn records_come_back_from_disk((kind, rows) in any_table(), with_words: bool, cut in 1..20_usize) {
        let names: Vec<String> = ["甲", "b", "c.d"].map(String::from).to_vec();
        let layout = Layout { kind, words: with_words, corpora: names.clone() };
        let place = Place::new("round-trip");
        let path = place.path("part.parquet");
        let mut builder = RowsBuilder::new(layout.clone());
        let schema = std::sync::Arc::new(layout.schema_in_memory());
        let mut writer = ShardWriter::new(File::create(&path).unwrap(), schema, &path).unwrap();
        for (number, row) in rows.iter().enumerate() {
            let texts: Vec<&str> = row.texts.iter().map(String::as_str).collect();
            builder.push(&Row {
                id: row.id, corpus: row.corpus, split: row.split, texts: &texts, score: row.score,
                document: row.document, position: row.position, topic_key: row.topic.as_deref(),
                group_key: row.group.as_deref(), words: &row.words,
            });
            if number % cut == 0 {
                writer.write(&builder.finish().unwrap()).unwrap();
            }
        }
        if builder.rows() > 0 {
            writer.write(&builder.finish().unwrap()).unwrap();
        }
        let (_, hash) = writer.finish().unwrap();
        prop_assert_eq!(shard::rows_hash(&path).unwrap(), hash);
        prop_assert_eq!(hash.rows, rows.len() as u64);
        let mut expected = rows.iter();
        for batch in shard::read(&path).unwrap() {
            let batch = batch.unwrap();
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            for at in 0..batch.num_rows() {
                let row = expected.next().unwrap();
                let text = |name: &str| column(name).as_string::<i32>().value(at).to_string();
                let optional = |name: &str| column(name).is_valid(at).then(|| text(name));
                let id = column("id");
                prop_assert_eq!(id.as_fixed_size_binary().value(at), row.id.to_be_bytes());
                prop_assert_eq!(text("corpus"), names[usize::from(row.corpus)].as_str());
                prop_assert_eq!(text("split"), row.split.name());
                let columns = kind.text_columns();
                for (name, value) in columns.iter().zip(&row.texts) {
                    prop_assert_eq!(&text(name), value);
                }
                if kind == Kind::Triplet {
                    let list = column("negatives").as_list::<i32>().value(at);
                    let list: Vec<_> = list.as_string::<i32>().iter().flatten().map(String::from).collect();
                    prop_assert_eq!(&list[..], &row.texts[2..]);
                }
                if kind == Kind::Scored {
                    prop_assert_eq!(column("score").as_primitive::<Float32Type>().value(at), row.score);
                }
                prop_assert_eq!(column("document").as_primitive::<UInt64Type>().value(at), row.document);
                prop_assert_eq!(column("position").as_primitive::<UInt32Type>().value(at), row.position);
                prop_assert_eq!(optional("topic_key"), row.topic.clone());
                prop_assert_eq!(optional("group_key"), row.group.clone());
                if with_words {
                    let list = column("words").as_list::<i32>().value(at);
                    prop_assert_eq!(list.as_primitive::<UInt16Type>().values(), &row.words[..]);
                }
            }
        }
        prop_assert_eq!(expected.count(), 0);
    }
}
