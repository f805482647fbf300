//! Tests of embedding: order, equality, resuming, refusals, and the dataset that comes of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use juzi_schemas::dataset;
use juzi_schemas::embedding::text_id;
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::record::Kind;
use juzi_schemas::shard::{self, ShardWriter};

use super::{Outcome, Request, Sizes, run};
use crate::Error;
use crate::encoder::{Config, Encoder, Kernels, Pass, Pooling, Sequences, fixtures};
use crate::loader::fixtures::{Place, Row, batches, shards, tokenizer};
use crate::model::Model;
use crate::parameters::{Parameter, Parameters};
use crate::tokenizer::{Encoded, Scratch, Tokenizer};

/// A model in a folder of the place; its limit is 12 tokens.
fn model(place: &Place) -> Model {
    let path = place.path("model");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::rename(tokenizer(place), path.join("tokenizer.json")).unwrap();
    let config = Config {
        vocab_size: 70,
        ..fixtures::config()
    };
    let mut encoder = fixtures::encoder(&config, Pooling::Mean);
    encoder.output.normalize = true;
    Model {
        tokenizer: Tokenizer::open(&path).unwrap(),
        folder: path,
        encoder,
        length_max: 12,
        normalize: true,
        lowercase: false,
        prompts: [("query".to_string(), "问: ".to_string())].into(),
        default_prompt: None,
    }
}

/// Small windows and batches.
fn sizes() -> Sizes {
    Sizes {
        window_texts: 7,
        window_bytes: 1 << 20,
        batch_tokens: 20,
        tokenizers: 2,
    }
}

/// Made-up texts of 0 to 14 characters, some of them equal.
fn texts(number: usize) -> Vec<String> {
    let letter = |n: usize| char::from_u32(0x4e00 + (n * 31 % 50) as u32).unwrap();
    let text = |n: usize| (0..n * 7 % 15).map(|at| letter(n % 23 + at * 5)).collect();
    (0..number).map(|n| text(n % 41)).collect()
}

fn request(model: &Model, input: PathBuf, output: PathBuf) -> Request {
    Request {
        model: model.folder.clone(),
        inputs: vec![input],
        column: None,
        prompt: None,
        output,
    }
}

fn embed(model: &Model, request: &Request, sizes: Sizes) -> crate::Result<Outcome> {
    run(model, request, sizes, &|_| false, &|_| {})
}

/// The vector of a text, alone and computed at once.
fn alone(model: &Model, text: &str) -> Vec<f32> {
    let (mut scratch, mut out) = (Scratch::default(), Encoded::default());
    model
        .tokenizer
        .encode(text, model.length_max, &mut scratch, &mut out);
    let pass = Pass::inference(Kernels::Fused);
    let vector = model.encoder.embed(&Sequences::new([&out.ids[..]]), &pass);
    let vector: Vec<f32> = vector.unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter().map(|value| value / length).collect()
}

/// Shape and rows of a `.npy` file.
fn npy(path: &Path) -> ((usize, usize), Vec<Vec<f32>>) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    assert!((10 + length).is_multiple_of(64) && bytes[9 + length] == b'\n');
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'<f4', 'fortran_order': False"), "{header}");
    let shape = header.split_once("(").unwrap().1.split_once(")").unwrap().0;
    let (rows, dimension) = shape.split_once(", ").unwrap();
    let shape = (rows.parse().unwrap(), dimension.parse().unwrap());
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    let values: Vec<f32> = bytes[10 + length..].chunks_exact(4).map(number).collect();
    assert_eq!(values.len(), shape.0 * shape.1);
    (shape, values.chunks(shape.1).map(<[f32]>::to_vec).collect())
}

#[track_caller]
fn assert_near(found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    let difference = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    let difference = difference.fold(0.0, f32::max);
    assert!(difference <= 1e-6, "{difference}");
}

fn write_lines(place: &Place, texts: &[String]) -> PathBuf {
    let path = place.path("texts.txt");
    std::fs::write(&path, texts.join("\n") + "\n").unwrap();
    path
}

#[test]
fn row_i_is_text_i() {
    let place = Place::new();
    let (model, texts) = (model(&place), texts(100));
    let input = write_lines(&place, &texts);
    let request = request(&model, input, place.path("out.npy"));
    let outcome = embed(&model, &request, sizes()).unwrap();
    let (shape, rows) = npy(&request.output);
    assert_eq!(shape, (100, 16));
    for (text, row) in texts.iter().zip(&rows) {
        assert_near(row, &alone(&model, text));
    }
    let empty = texts.iter().filter(|text| text.is_empty()).count() as u64;
    assert!(empty > 0);
    assert_eq!((outcome.texts, outcome.empty), (100, empty));
    assert_eq!((outcome.parts, outcome.parts_found), (15, 0));
    let long = texts.iter().filter(|text| text.chars().count() > 10);
    assert!(outcome.cut > 0 && outcome.cut <= long.count() as u64);
    assert!(!place.path("out.npy.parts").exists());
    let mut others = Vec::new();
    for other in [
        Sizes::default(),
        Sizes {
            window_texts: 64,
            batch_tokens: 1,
            ..sizes()
        },
        Sizes {
            window_bytes: 40,
            tokenizers: 5,
            ..sizes()
        },
    ] {
        embed(&model, &request, other).unwrap();
        others.push(npy(&request.output).1);
    }
    for other in others {
        other.iter().zip(&rows).for_each(|(a, b)| assert_near(a, b));
    }
}

#[test]
fn inputs_of_every_kind_are_equal() {
    let place = Place::new();
    let (model, mut texts) = (model(&place), texts(40));
    texts[3] = "丁\"丂,七\"".into();
    let lines = write_lines(&place, &texts);
    let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
    let csv: Vec<String> = texts
        .iter()
        .map(|text| format!("1,{},\"x\ny\"", quoted(text)))
        .collect();
    let tsv: Vec<String> = texts.iter().map(|text| format!("{text}\t2")).collect();
    let file = |name: &str, content: String| {
        std::fs::write(place.path(name), content).unwrap();
        place.path(name)
    };
    let parquet = place.path("in.parquet");
    let schema = Arc::new(Schema::new(vec![
        Field::new("number", DataType::UInt32, false),
        Field::new("content", DataType::Utf8, true),
    ]));
    let numbers = arrow::array::UInt32Array::from_iter_values(0..40);
    let column = StringArray::from_iter_values(&texts);
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers), Arc::new(column)]);
    let output = std::fs::File::create(&parquet).unwrap();
    let mut writer = ShardWriter::new(output, schema, &parquet).unwrap();
    writer.write(&batch.unwrap()).unwrap();
    writer.finish().unwrap();
    let rows: Vec<Row> = texts
        .iter()
        .zip(1..)
        .map(|(text, id)| Row::new(id, Kind::Text, &[text]))
        .collect();
    let files = [
        vec![rows[..11].to_vec(), rows[11..20].to_vec()],
        vec![rows[20..].to_vec()],
    ];
    let dataset = shards(&place.path("data"), Kind::Text, false, &files);
    let cases = [
        (
            file("bom.txt", format!("\u{feff}{}", texts.join("\r\n"))),
            None,
        ),
        (
            file("head.csv", format!("id,texts,z\r\n{}", csv.join("\r\n"))),
            Some("texts"),
        ),
        (file("plain.csv", csv.join("\n")), Some("2")),
        (
            file("head.tsv", format!("a\tb\n{}\n", tsv.join("\n"))),
            Some("a"),
        ),
        (file("plain.tsv", tsv.join("\n")), Some("1")),
        (parquet, Some("content")),
        (dataset.clone(), None),
        (dataset, Some("text")),
    ];
    let request = request(&model, lines, place.path("out.npy"));
    embed(&model, &request, sizes()).unwrap();
    let wanted = std::fs::read(&request.output).unwrap();
    for (input, column) in cases {
        let name = input.display().to_string();
        let request = Request {
            inputs: vec![input],
            column: column.map(String::from),
            ..request.clone()
        };
        embed(&model, &request, sizes()).unwrap();
        assert!(wanted == std::fs::read(&request.output).unwrap(), "{name}");
    }
}

#[test]
fn a_table_holds_the_texts() {
    let place = Place::new();
    let (model, texts) = (model(&place), texts(30));
    let input = write_lines(&place, &texts);
    let table = request(&model, input, place.path("out.parquet"));
    embed(&model, &table, sizes()).unwrap();
    let array = Request {
        output: place.path("out.npy"),
        ..table.clone()
    };
    embed(&model, &array, sizes()).unwrap();
    let (_, rows) = npy(&array.output);
    let mut at = 0;
    for batch in shard::read(&table.output).unwrap() {
        let batch = batch.unwrap();
        let (found, vectors) = (
            batch["text"].as_string::<i32>(),
            batch["embedding"].as_list::<i32>(),
        );
        for row in 0..batch.num_rows() {
            assert_eq!(found.value(row), texts[at]);
            let vector = vectors.value(row);
            assert_eq!(vector.as_primitive::<Float32Type>().values(), &rows[at][..]);
            at += 1;
        }
    }
    assert_eq!(at, 30);
    assert!(!place.path("out.parquet.parts").exists());
}

#[test]
fn a_dataset_holds_each_text_once() {
    let place = Place::new();
    let model = model(&place);
    let pairs: Vec<Row> = (0..20u32)
        .map(|n| {
            let letter = |n: u32| char::from_u32(0x4e00 + n % 9).unwrap().to_string();
            let texts = [letter(n), letter(n + 4), letter(n * n), letter(3)];
            let texts = texts.each_ref().map(String::as_str);
            Row::new(u128::from(n), Kind::Triplet, &texts)
        })
        .collect();
    let expected: std::collections::BTreeSet<String> =
        pairs.iter().flat_map(|row| row.texts.clone()).collect();
    let data = place.path("data");
    let inputs = [
        shards(&data, Kind::Triplet, true, &[vec![pairs.clone()]]),
        batches(
            &data,
            Kind::Triplet,
            true,
            &[vec![pairs[..9].to_vec(), pairs[9..].to_vec()]],
        ),
    ];
    for (input, name) in inputs.into_iter().zip(["embeddings", "again"]) {
        let request = request(&model, input, data.join(name));
        let outcome = embed(
            &model,
            &request,
            Sizes {
                window_texts: 4,
                ..sizes()
            },
        )
        .unwrap();
        assert_eq!(
            (outcome.texts, outcome.different),
            (80, expected.len() as u64)
        );
        let manifest = Manifest::read(&request.output).unwrap();
        assert_eq!(
            (&manifest.stage[..], manifest.rows),
            ("embeddings", expected.len() as u64)
        );
        let mut found = std::collections::BTreeMap::new();
        for file in manifest.files_of(Table::Rows) {
            dataset::verify_file(&request.output, file).unwrap();
            for batch in shard::read(&request.output.join(&file.name)).unwrap() {
                let batch = batch.unwrap();
                let (ids, vectors) = (
                    batch["id"].as_fixed_size_binary(),
                    batch["embedding"].as_list::<i32>(),
                );
                for row in 0..batch.num_rows() {
                    let id = u128::from_be_bytes(ids.value(row).try_into().unwrap());
                    let vector = vectors.value(row);
                    let vector = vector.as_primitive::<Float32Type>().values().to_vec();
                    assert!(found.insert(id, vector).is_none());
                }
            }
        }
        for text in &expected {
            assert_near(&found[&text_id(text)], &alone(&model, text));
        }
        let files = std::fs::read_dir(&request.output).unwrap().count();
        assert_eq!(files, manifest.files.len() + 2, "manifest and report");
        let again = embed(
            &model,
            &request,
            Sizes {
                window_texts: 4,
                ..sizes()
            },
        )
        .unwrap();
        assert_eq!(
            (again.parts, again.parts_found),
            (outcome.parts, outcome.parts)
        );
        assert_eq!((again.texts, again.embedded), (80, (0, 0)));
    }
}

/// Every file below a directory, with its bytes.
fn all_files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(all_files(&path)),
            false => files.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    files.sort();
    files
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bytes() {
    let place = Place::new();
    let (model, texts) = (model(&place), texts(60));
    let input = write_lines(&place, &texts);
    for name in ["out.npy", "out.parquet", "vectors"] {
        let whole = request(&model, input.clone(), place.path(&format!("whole-{name}")));
        let parts = embed(&model, &whole, sizes()).unwrap().parts;
        let result = |path: &Path| match path.is_dir() {
            false => vec![("".into(), std::fs::read(path).unwrap())],
            true => {
                let files = all_files(path).into_iter();
                let files = files.filter(|(path, _)| !path.ends_with("report.json"));
                files
                    .map(|(path, bytes)| (PathBuf::from(path.file_name().unwrap()), bytes))
                    .collect()
            }
        };
        let wanted = result(&whole.output);
        for cut in 0..parts {
            let request = Request {
                output: place.path(&format!("{cut}-{name}")),
                ..whole.clone()
            };
            let stopped = run(&model, &request, sizes(), &|window| window >= cut, &|_| {});
            let Err(Error::Interrupted { .. }) = stopped else {
                panic!("{stopped:?}");
            };
            assert!(!request.output.exists());
            let found = embed(&model, &request, sizes()).unwrap();
            assert_eq!((found.parts, found.parts_found), (parts, cut), "{name}");
            assert!(
                result(&request.output) == wanted,
                "{name} after {cut} parts"
            );
        }
    }
}

#[test]
fn damaged_and_torn_parts_are_made_again() {
    let place = Place::new();
    let model = model(&place);
    let input = write_lines(&place, &texts(60));
    let whole = request(&model, input, place.path("whole.npy"));
    embed(&model, &whole, sizes()).unwrap();
    let request = Request {
        output: place.path("out.npy"),
        ..whole.clone()
    };
    run(&model, &request, sizes(), &|window| window >= 5, &|_| {}).unwrap_err();
    let files = all_files(&place.path("out.npy.parts"));
    let parts: Vec<&PathBuf> = files
        .iter()
        .map(|(path, _)| path)
        .filter(|path| path.to_string_lossy().ends_with(".f32"))
        .collect();
    assert_eq!(parts.len(), 5);
    let mut bytes = std::fs::read(parts[1]).unwrap();
    bytes[17] ^= 1;
    std::fs::write(parts[1], bytes).unwrap();
    std::fs::write(parts[4].with_added_extension("tmp"), "torn").unwrap();
    std::fs::remove_file(parts[3]).unwrap();
    let found = embed(&model, &request, sizes()).unwrap();
    assert_eq!((found.parts, found.parts_found), (9, 3));
    assert!(std::fs::read(&request.output).unwrap() == std::fs::read(&whole.output).unwrap());
}

#[test]
fn parts_of_another_request_are_refused() {
    let place = Place::new();
    let model = model(&place);
    let input = write_lines(&place, &texts(60));
    let first = request(&model, input, place.path("out.npy"));
    run(&model, &first, sizes(), &|window| window >= 2, &|_| {}).unwrap_err();
    let refused = |request: &Request, word: &str| {
        let error = embed(&model, request, sizes()).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let message = error.to_string();
        assert!(
            message.contains("out.npy.parts: parts of another request") && message.contains(word),
            "{message}"
        );
        assert_eq!(message.matches(" was ").count(), 1, "{message}");
    };
    refused(
        &Request {
            prompt: Some("query".into()),
            ..first.clone()
        },
        "prompt was \"\" and is \"问: \"",
    );
    let other = place.path("other.txt");
    std::fs::write(&other, "丁\n").unwrap();
    refused(
        &Request {
            inputs: vec![other],
            ..first.clone()
        },
        "inputs was",
    );
    let config = model.folder.join("config.json");
    std::fs::write(&config, "{}").unwrap();
    refused(&first, "model was");
    std::fs::remove_file(&config).unwrap();
    let early = Request {
        output: place.path("early.npy"),
        ..first.clone()
    };
    run(&model, &early, sizes(), &|_| true, &|_| {}).unwrap_err();
    assert!(
        !place.path("early.npy.parts").exists(),
        "nothing to go on from"
    );
    std::fs::write(model.folder.join("README.md"), "who made it").unwrap();
    assert_eq!(embed(&model, &first, sizes()).unwrap().parts_found, 2);
}

#[test]
fn a_prompt_stands_before_each_text() {
    let place = Place::new();
    let model = model(&place);
    let input = write_lines(&place, &["丁七".into(), "".into()]);
    let mut request = request(&model, input, place.path("out.npy"));
    for (prompt, text) in [("query", "问: "), ("甲 ", "甲 ")] {
        request.prompt = Some(prompt.into());
        embed(&model, &request, sizes()).unwrap();
        let (_, rows) = npy(&request.output);
        assert_near(&rows[0], &alone(&model, &format!("{text}丁七")));
        assert_near(&rows[1], &alone(&model, text));
    }
    request.prompt = Some("qurey".into());
    let message = embed(&model, &request, sizes()).unwrap_err().to_string();
    assert!(
        message.contains("no prompt of this name; it has [query]"),
        "{message}"
    );
}

#[test]
fn bad_input_is_named() {
    let place = Place::new();
    let model = model(&place);
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(place.path(name), bytes).unwrap();
        place.path(name)
    };
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::UInt32, false),
        Field::new("text", DataType::Utf8, true),
    ]));
    let flags = arrow::array::UInt32Array::from(vec![1, 2]);
    let column = StringArray::from(vec![Some("a"), None]);
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(flags), Arc::new(column)]);
    let parquet = place.path("null.parquet");
    let output = std::fs::File::create(&parquet).unwrap();
    let mut writer = ShardWriter::new(output, schema, &parquet).unwrap();
    writer.write(&batch.unwrap()).unwrap();
    writer.finish().unwrap();
    let rows = vec![Row::new(1, Kind::Text, &["丁"])];
    let dataset = shards(&place.path("data"), Kind::Text, false, &[vec![rows]]);
    let cases: Vec<(PathBuf, Option<&str>, &str)> = vec![
        (
            file("bad.txt", b"good\nb\xffd\n"),
            None,
            "bad.txt: line 2: byte 1 of the line is not UTF-8",
        ),
        (file("empty.txt", b""), None, "no texts here"),
        (place.path("none.txt"), None, "none.txt: No such file"),
        (file("a.txt", b"a\n"), Some("text"), "leave out --column"),
        (
            file("a.tsv", b"a\tb\nc\n"),
            None,
            "--column NAME or a number from 1",
        ),
        (
            file("a.tsv", b"a\tb\nc\n"),
            Some("c"),
            "line 1: no column `c` in `a`, `b`",
        ),
        (
            file("a.tsv", b"a\tb\nc\n"),
            Some("b"),
            "line 2: 1 fields; column 2 is wanted",
        ),
        (file("a.tsv", b"a\tb\nc\n"), Some("0"), "counted from 1"),
        (
            file("a.csv", b"a,b\nc,\"d"),
            Some("b"),
            "line 2: a quote is opened here",
        ),
        (
            file("b.csv", b"a,b\nc,\"d\"e\n"),
            Some("b"),
            "line 2: field 2: characters after",
        ),
        (file("a.txt.gz", b"a\n"), None, "compressed"),
        (file("a.jsonl", b"a\n"), None, "JSON"),
        (parquet.clone(), None, "--column NAME"),
        (parquet.clone(), Some("x"), "no column `x`; it has n, text"),
        (parquet.clone(), Some("n"), "column `n` holds UInt32"),
        (parquet, Some("text"), "row 1: `text` is null"),
        (
            dataset,
            Some("label"),
            "a dataset of `shards` has no column `label`; it has corpus, document, ",
        ),
        (place.path("data"), None, "no dataset here"),
    ];
    for (input, column, wanted) in cases {
        for name in ["out.npy", "vectors"] {
            let mut request = request(&model, input.clone(), place.path(name));
            request.column = column.map(String::from);
            let error = embed(&model, &request, sizes()).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error} for {wanted}");
            assert_eq!(error.exit_code(), 1, "{error}");
            assert!(!request.output.exists());
            let _ = std::fs::remove_dir_all(place.path("out.npy.parts"));
        }
    }
}

#[test]
fn another_thing_is_not_overwritten() {
    let place = Place::new();
    let model = model(&place);
    let input = write_lines(&place, &texts(3));
    let rows = vec![Row::new(1, Kind::Text, &["丁"])];
    let dataset = shards(&place.path("data"), Kind::Text, false, &[vec![rows]]);
    std::fs::create_dir_all(place.path("dir.npy")).unwrap();
    for (output, wanted) in [
        (dataset, "a dataset `shards` is here"),
        (
            place.path("data"),
            "something that is no dataset of embeddings is here",
        ),
        (input.with_extension(""), ""),
        (place.path("dir.npy"), "a directory is here"),
    ] {
        let request = request(&model, input.clone(), output);
        match embed(&model, &request, sizes()) {
            Ok(_) => assert!(wanted.is_empty()),
            Err(error) => assert!(
                error.to_string().contains(wanted) && !wanted.is_empty(),
                "{error}"
            ),
        }
    }
}

#[test]
fn vectors_that_are_none_are_an_error() {
    let place = Place::new();
    let whole = model(&place);
    let mut parameters = Parameters::default();
    for parameter in whole.encoder.parameters.iter() {
        let values = match parameter.name.as_str() {
            "encoder.layer.1.output.LayerNorm.bias" => (parameter.tensor() * f64::NAN).unwrap(),
            _ => parameter.tensor().clone(),
        };
        parameters.insert(Parameter::new(&parameter.name, &values).unwrap());
    }
    let config = whole.encoder.config.clone();
    let broken = Model {
        encoder: Encoder::new(config, Pooling::Mean, parameters).unwrap(),
        ..whole
    };
    let input = write_lines(&place, &texts(30));
    let request = request(&broken, input, place.path("out.npy"));
    let message = embed(&broken, &request, sizes()).unwrap_err().to_string();
    assert!(message.contains("is not of finite numbers"), "{message}");
    assert!(!request.output.exists());
}

#[test]
fn the_caller_is_told_and_asked() {
    let place = Place::new();
    let model = model(&place);
    let input = write_lines(&place, &texts(60));
    let request = request(&model, input, place.path("out.npy"));
    let asked = AtomicUsize::new(0);
    let stop = |_| {
        asked.fetch_add(1, Ordering::Relaxed);
        false
    };
    run(&model, &request, sizes(), &stop, &|_| {}).unwrap();
    let batches = asked.load(Ordering::Relaxed);
    assert!(
        batches >= 18,
        "{batches}: before every batch of nine windows"
    );
}
