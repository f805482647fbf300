//! Tests of whitening: numpy's values, the identity as covariance, and a folder that has the layer.
//!
//! `fixtures/whiten.json` is made by `cd trainer/fixtures && python whiten.py`.

use std::path::{Path, PathBuf};

use juzi_schemas::random::Draws;
use serde_json::Value;

use super::fit::layer;
use super::sample::Sample;
use super::{Layer, Method, Moments, Request, run};
use crate::embed::Source;
use crate::encoder::{Kernels, Output};
use crate::loader::fixtures::Place;
use crate::model::Model;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// What a layer makes of vectors. `[rows][out]`
fn applied(layer: &Layer, vectors: &[f32]) -> Vec<Vec<f64>> {
    let width = layer.weight.len() / layer.dimension;
    let row = |x: &[f32]| {
        let rows = layer.weight.chunks_exact(width).zip(&layer.bias);
        rows.map(|(row, bias)| {
            let pairs = row.iter().zip(x);
            pairs.map(|(w, &x)| w * f64::from(x)).sum::<f64>() + bias
        })
        .collect()
    };
    vectors.chunks_exact(width).map(row).collect()
}

/// The largest difference of the covariance of rows to the identity, and of their mean to 0.
fn from_white(rows: &[Vec<f64>]) -> f64 {
    let width = rows[0].len();
    let flat: Vec<f32> = rows.iter().flatten().map(|&value| value as f32).collect();
    let moments = Moments::of(&flat, width);
    let entries = moments.covariance.iter().enumerate();
    let entries = entries.map(|(at, value)| value - f64::from(u8::from(at / width == at % width)));
    let all = entries.chain(moments.mean.iter().copied());
    all.fold(0.0, |most, value| most.max(value.abs()))
}

/// Vectors that vary in `rank` directions around a mean far from 0.
fn vectors(rows: usize, width: usize, rank: usize) -> Vec<f32> {
    let mut draws = Draws::new(3, 1, 4, 1, 5);
    let mix: Vec<f64> = (0..rank * width).map(|_| draws.unit() - 0.5).collect();
    let mut all = Vec::new();
    for _ in 0..rows {
        let parts: Vec<f64> = (0..rank).map(|_| draws.unit() - 0.5).collect();
        for column in 0..width {
            let sum: f64 = (0..rank)
                .map(|at| parts[at] * mix[at * width + column])
                .sum();
            all.push((sum + 2.0) as f32);
        }
    }
    all
}

#[test]
fn values_are_those_of_numpy() {
    let text = std::fs::read_to_string(fixtures().join("whiten.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let rows =
        |name: &str| -> Vec<Vec<f64>> { serde_json::from_value(value[name].clone()).unwrap() };
    let flat: Vec<f32> = rows("vectors")
        .iter()
        .flatten()
        .map(|&x| x as f32)
        .collect();
    let moments = Moments::of(&flat, 6);
    for (name, method, dimensions, components) in [
        ("whitening", Method::Whitening, None, None),
        ("whitening", Method::Whitening, Some(3), None),
        ("mean", Method::Mean, None, None),
        ("top_2", Method::Top, None, Some(2)),
    ] {
        let wanted = rows(name);
        let layer = layer(&moments, method, dimensions, components).unwrap();
        let found = applied(&layer, &flat);
        assert_eq!(layer.dimension, dimensions.unwrap_or(6));
        for column in 0..layer.dimension {
            // Of an eigenvector the sign is free.
            let largest = (0..60).max_by(|&one, &other| {
                let size = |row: usize| wanted[row][column].abs();
                size(one).total_cmp(&size(other))
            });
            let largest = largest.unwrap();
            let sign = (found[largest][column] / wanted[largest][column]).signum();
            assert!(sign == 1.0 || name == "whitening", "{name}");
            for (found, wanted) in found.iter().zip(&wanted) {
                let difference = (found[column] * sign - wanted[column]).abs();
                assert!(difference < 1e-9, "{name} {column}: {difference}");
            }
        }
        if dimensions == Some(3) {
            assert!((layer.kept - value["kept_of_3"].as_f64().unwrap()).abs() < 1e-12);
        }
    }
}

#[test]
fn whitened_vectors_are_white() {
    for (rows, width, dimensions) in [(400, 24, None), (2000, 24, Some(7)), (300, 1, None)] {
        let all = vectors(rows, width, width);
        let moments = Moments::of(&all, width);
        let layer = layer(&moments, Method::Whitening, dimensions, None).unwrap();
        let fault = from_white(&applied(&layer, &all));
        assert!(fault < 1e-5, "{rows} {width}: {fault}");
    }
}

#[test]
fn what_is_removed_is_gone() {
    let all = vectors(500, 10, 10);
    let moments = Moments::of(&all, 10);
    let before = crate::metrics::eigen::symmetric(&moments.covariance, 10).0;
    let layer = layer(&moments, Method::Top, None, Some(3)).unwrap();
    let after: Vec<f32> = applied(&layer, &all)
        .iter()
        .flatten()
        .map(|&x| x as f32)
        .collect();
    let moments = Moments::of(&after, 10);
    let after = crate::metrics::eigen::symmetric(&moments.covariance, 10).0;
    for (number, value) in after.iter().enumerate() {
        let wanted = before.get(number + 3).copied().unwrap_or(0.0);
        assert!((value - wanted).abs() < 1e-6, "{number}: {value} {wanted}");
    }
    assert!(moments.mean.iter().all(|value| value.abs() < 1e-6));
}

#[test]
fn directions_without_variance_are_told() {
    let flat = vectors(100, 8, 5);
    let moments = Moments::of(&flat, 8);
    let fit = |dimensions| layer(&moments, Method::Whitening, dimensions, None);
    assert_eq!(fit(None).unwrap().dimension, 5);
    assert!(from_white(&applied(&fit(Some(5)).unwrap(), &flat)) < 1e-5);
    let told = |error: crate::Error, words: &str| {
        let error = error.to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    told(
        fit(Some(6)).unwrap_err(),
        "100 texts vary in 5 of 8 directions, and --dimensions is 6: --dimensions up to 5",
    );
    let top = layer(&moments, Method::Top, None, Some(5)).unwrap_err();
    told(top, "--components below 5 is accepted");
    let few = Moments::of(&flat[..6 * 8], 8);
    let error = layer(&few, Method::Whitening, None, None).unwrap_err();
    told(
        error,
        "6 texts vary in 5 of 8 directions, and --dimensions is 8",
    );
    let same = Moments::of(&[1.5; 80], 8);
    for method in [Method::Whitening, Method::Top] {
        let error = layer(&same, method, None, None).unwrap_err();
        told(error, "the vectors are all the same");
    }
    assert_eq!(
        layer(&same, Method::Mean, None, None).unwrap().bias,
        [-1.5; 8]
    );
    for (method, dimensions, components) in [
        (Method::Mean, Some(3), None),
        (Method::Top, Some(3), None),
        (Method::Whitening, None, Some(1)),
        (Method::Mean, None, Some(1)),
        (Method::Whitening, Some(0), None),
    ] {
        told(method.check(dimensions, components).unwrap_err(), "--");
    }
}

#[test]
fn threads_change_nothing() {
    let all = vectors(1000, 20, 20);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| Moments::of(&all, 20))
    };
    assert_eq!(with(1), with(3));
}

/// Texts of the small BERT's words.
fn texts(number: usize) -> Vec<String> {
    let letters: Vec<char> = "我你他们的是在有不人大中国上个学生会好天气今明句子向量"
        .chars()
        .collect();
    let text = |number: usize| {
        let mut draws = Draws::new(9, 0, 0, number as u128, 0);
        let length = 1 + draws.below(15);
        (0..length)
            .map(|_| letters[draws.below(letters.len())])
            .collect()
    };
    (0..number).map(text).collect()
}

fn file(place: &Place, name: &str, texts: &[String]) -> PathBuf {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, texts.join("\n")).unwrap();
    path
}

#[test]
fn a_sample_follows_from_the_texts_alone() {
    let place = Place::new();
    let all = texts(500);
    let (one, other) = (
        file(&place, "one.txt", &all[..200]),
        file(&place, "other.txt", &all[200..]),
    );
    let mut turned = all.clone();
    turned.reverse();
    turned.extend(all[..50].to_vec());
    turned.push(" ".into());
    let turned = file(&place, "turned.txt", &turned);
    let sample = |paths: &[&PathBuf], rows_max| {
        let sources = paths.iter().map(|path| Source::open(path, None).unwrap());
        let sources: Vec<Source> = sources.collect();
        Sample::of(&sources, rows_max, &|| false).unwrap()
    };
    let first = sample(&[&one, &other], 100);
    assert_eq!((first.texts.len(), first.read), (100, 500));
    assert_eq!(first.texts, sample(&[&turned], 100).texts);
    assert_eq!(first.texts, sample(&[&other, &one], 1000).texts[..100]);
    let front = first.texts.iter().filter(|text| all[..200].contains(text));
    // 40 are expected, and five standard deviations are 22.
    let front = front.count();
    assert!((18..=62).contains(&front), "{front}");
    let empty = file(&place, "empty.txt", &[" ".into(), String::new()]);
    let source = Source::open(&empty, None).unwrap();
    let error = Sample::of(&[source], 10, &|| false).unwrap_err();
    assert!(error.to_string().contains("no texts"), "{error}");
}

fn request(place: &Place, model: PathBuf, method: Method) -> Request {
    Request {
        model,
        inputs: vec![file(place, "texts.txt", &texts(400))],
        column: None,
        prompt: None,
        method,
        dimensions: None,
        components: None,
        rows_max: 300,
        output: place.path("out"),
    }
}

#[test]
fn a_folder_has_the_layer() {
    let place = Place::new();
    let bert = fixtures().join("models/bert");
    let before = Model::open(&bert).unwrap();
    for method in [Method::Whitening, Method::Mean, Method::Top] {
        let request = Request {
            output: place.path(&format!("{method:?}")),
            ..request(&place, bert.clone(), method)
        };
        let outcome = run(&request, &|| false, &|_| {}).unwrap();
        assert_eq!((outcome.texts, outcome.rows), (400, 300));
        // The last norm of a BERT takes one direction away.
        let length = if method == Method::Whitening { 31 } else { 32 };
        assert_eq!(outcome.dimensions, (32, length));
        let model = Model::open(&request.output).unwrap();
        assert_eq!(model.encoder.dimension(), length);
        let sources = [Source::open(&request.inputs[0], None).unwrap()];
        let sample = Sample::of(&sources, 300, &|| false).unwrap();
        let some: Vec<&str> = sample.texts.iter().map(String::as_str).collect();
        let old = before.encode(&some, Kernels::Fused).unwrap();
        let new = model.encode(&some, Kernels::Fused).unwrap();
        let moments = Moments::of(&old.concat(), 32);
        let layer = layer(&moments, method, None, None).unwrap();
        let wanted = applied(&layer, &old.concat());
        let pairs = new.iter().flatten().zip(wanted.iter().flatten());
        let far = pairs.map(|(new, wanted)| (f64::from(*new) - wanted).abs());
        let far = far.fold(0.0, f64::max);
        assert!(far < 1e-3, "{method:?}: {far}");
        if method == Method::Whitening {
            let rows = new
                .iter()
                .map(|row| row.iter().map(|&x| f64::from(x)).collect());
            let fault = from_white(&rows.collect::<Vec<_>>());
            assert!(fault < 1e-3, "{fault}");
        }
        let page = std::fs::read_to_string(request.output.join("README.md")).unwrap();
        let hash = outcome.fingerprint.to_string();
        for word in ["300 different texts of texts.txt", method.what(), &hash] {
            assert!(page.contains(word), "{word}: {page}");
        }
        let error = run(&request, &|| false, &|_| {}).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
    }
}

/// A layer on a layer, before the normalisation.
#[test]
fn normalised_models_stay_so() {
    let place = Place::new();
    let bert = fixtures().join("models/bert");
    let mut export = crate::export::open(&bert, None, false).unwrap();
    let output = Output {
        normalize: true,
        ..export.encoder.output.clone()
    };
    export.encoder = export.encoder.with_output(output).unwrap();
    let folder = place.path("normal");
    export.write(&folder).unwrap();
    let first = Request {
        output: place.path("first"),
        ..request(&place, folder, Method::Mean)
    };
    run(&first, &|| false, &|_| {}).unwrap();
    let second = Request {
        dimensions: Some(4),
        rows_max: 200,
        ..request(&place, first.output.clone(), Method::Whitening)
    };
    run(&second, &|| false, &|_| {}).unwrap();
    let model = Model::open(&second.output).unwrap();
    assert_eq!((model.encoder.dimension(), model.normalize), (4, true));
    assert_eq!(model.encoder.output.projections.len(), 2);
    let vectors = model.encode(&["今天天气好", "我"], Kernels::Plain).unwrap();
    for vector in vectors {
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    let stopped = Request {
        output: place.path("stopped"),
        ..second
    };
    let error = run(&stopped, &|| true, &|_| {}).unwrap_err();
    assert_eq!(error.exit_code(), 130);
    assert!(!stopped.output.exists());
}
