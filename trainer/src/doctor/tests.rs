//! Tests of the doctor: a healthy training passes, and each kind of defect is found and named.

use candle_core::{Device, Tensor};

use super::{Numbers, Options, Report, State, examine};
use crate::Result;
use crate::collate::Batch;
use crate::encoder::fixtures::{config, encoder};
use crate::encoder::{Config, Encoder, Kernels, Pooling};
use crate::gradcache::Objective;
use crate::gradcache::fixtures::{Contrast, Defect, Guess, batch};
use crate::losses::fixtures::kinds;
use crate::losses::mlm::{Mlm, MlmOptions};
use crate::losses::retromae::{RetroMae, RetroMaeOptions};
use crate::losses::{self, Loss, TokenLoss};
use crate::parameters::{Parameter, Parameters};

/// Moves every parameter by 0.01 against its gradient, as the first step of Adam does.
fn descend(parameters: &Parameters, frozen: &str) -> Result<()> {
    for parameter in parameters.iter().filter(|own| own.name != frozen) {
        let Some(gradient) = parameter.gradient()? else {
            continue;
        };
        let moved = (parameter.tensor() - (gradient.sign()? * 0.01)?)?;
        let moved: Vec<f32> = moved.flatten_all()?.to_vec1()?;
        super::gradients::set(parameter, &moved)?;
    }
    Ok(())
}

fn examined(encoder: &Encoder, defect: Defect, frozen: &str, options: &Options) -> Report {
    let guess = Guess::new(&encoder.config, 0.5, defect);
    let loss = Contrast::new(20.0);
    let token_losses: [&dyn TokenLoss; 1] = [&guess];
    let objective = Objective {
        encoder,
        keys: None,
        loss: Some(&loss),
        token_losses: &token_losses,
        kernels: Kernels::Fused,
        chunk: 0,
    };
    let parameters = objective.parameters();
    let before = Numbers::values(&parameters).unwrap();
    let batch = batch(&encoder.config);
    let mut optimizer = |parameters: &Parameters| descend(parameters, frozen);
    let report = examine(&objective, &batch, options, &mut optimizer).unwrap();
    assert_eq!(
        before,
        Numbers::values(&parameters).unwrap(),
        "values are put back"
    );
    let gradients = Numbers::gradients(&parameters).unwrap();
    let zero = |values: &Vec<f32>| values.iter().all(|&value| value == 0.0);
    assert!(gradients.0.values().all(zero), "gradients are left");
    report
}

fn failed(report: &Report) -> Vec<&'static str> {
    let failed = report
        .checks
        .iter()
        .filter(|check| check.state == State::Failed);
    failed.map(|check| check.name).collect()
}

fn with_defect(defect: Defect) -> Report {
    let encoder = encoder(&config(), Pooling::Mean);
    examined(&encoder, defect, "", &Options::default())
}

#[test]
fn a_healthy_training_passes() {
    for pooling in [Pooling::Cls, Pooling::Mean] {
        for step_key in 0..4 {
            let encoder = encoder(&config(), pooling);
            let options = Options {
                step_key,
                ..Options::default()
            };
            let report = examined(&encoder, Defect::None, "", &options);
            assert!(report.healthy(), "{report}");
            assert!(
                report
                    .checks
                    .iter()
                    .all(|check| check.state == State::Passed),
                "{report}"
            );
            report.verdict().unwrap();
            let excused: Vec<_> = report
                .exceptions
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            let keys = [0, 1].map(|layer| format!("encoder.layer.{layer}.attention.self.key.bias"));
            assert_eq!(excused, keys);
        }
    }
}

#[test]
fn a_detached_layer_is_found() {
    let report = with_defect(Defect::Detached);
    assert_eq!(
        failed(&report),
        ["gradients", "changes", "moves"],
        "{report}"
    );
    for name in failed(&report) {
        let detail = &report.check(name).unwrap().detail;
        assert!(detail.contains("`guess.weight`"), "{detail}");
    }
    let error = report.verdict().unwrap_err();
    assert!(
        error.to_string().contains("`guess.weight` has no gradient"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_frozen_parameter_is_found() {
    let encoder = encoder(&config(), Pooling::Cls);
    let name = "encoder.layer.1.output.dense.weight";
    let report = examined(&encoder, Defect::None, name, &Options::default());
    assert_eq!(failed(&report), ["moves"], "{report}");
    assert!(
        report
            .check("moves")
            .unwrap()
            .detail
            .contains(&format!("`{name}` does not move"))
    );
    // The recipe may want that.
    let options = Options {
        frozen: vec![name.into()],
        ..Options::default()
    };
    let report = examined(&encoder, Defect::None, name, &options);
    assert!(report.healthy(), "{report}");
    assert!(
        report
            .exceptions
            .iter()
            .any(|(own, why)| own == name && why.contains("recipe"))
    );
}

#[test]
fn wrong_kernels_are_found() {
    let report = with_defect(Defect::FusedForward);
    assert_eq!(
        failed(&report),
        ["kernels: vectors", "kernels: gradients"],
        "{report}"
    );
    let report = with_defect(Defect::FusedBackward);
    assert_eq!(
        failed(&report),
        ["kernels: gradients", "changes"],
        "{report}"
    );
    let detail = &report.check("changes").unwrap().detail;
    assert!(detail.contains('`'), "{detail}");
}

#[test]
fn a_wrong_gradient_is_found_by_differences() {
    let report = with_defect(Defect::Backward);
    assert_eq!(failed(&report), ["changes"], "{report}");
}

#[test]
fn a_loss_that_does_not_add_up_is_found() {
    let report = with_defect(Defect::Mean);
    let names = failed(&report);
    assert_eq!(
        names,
        ["chunks: all gradients", "chunks: each gradient"],
        "{report}"
    );
}

#[test]
fn a_pass_that_does_not_repeat_is_found() {
    let report = with_defect(Defect::Forgetful);
    assert!(failed(&report).contains(&"repetition"), "{report}");
    assert!(
        report
            .check("repetition")
            .unwrap()
            .detail
            .starts_with("loss "),
        "{report}"
    );
}

#[test]
fn what_is_not_a_number_is_found() {
    let report = with_defect(Defect::Nan);
    assert!(failed(&report).contains(&"gradients"), "{report}");
    assert!(
        report
            .check("gradients")
            .unwrap()
            .detail
            .contains("is not a number"),
        "{report}"
    );
    // A number that is none in the report is null in its file.
    assert!(report.to_json()["healthy"] == false);
}

#[test]
fn dropout_that_does_nothing_is_skipped_or_found() {
    let mut config = config();
    (
        config.hidden_dropout_prob,
        config.attention_probs_dropout_prob,
    ) = (0.0, 0.0);
    let encoder = encoder(&config, Pooling::Cls);
    let report = examined(&encoder, Defect::None, "", &Options::default());
    assert_eq!(report.check("views").unwrap().state, State::Skipped);
    // A probability that is set and rounds to nothing.
    config.hidden_dropout_prob = 1e-12;
    let parameters = encoder.parameters.clone();
    let encoder = Encoder::new(config, Pooling::Cls, parameters).unwrap();
    let report = examined(&encoder, Defect::None, "", &Options::default());
    assert_eq!(failed(&report), ["views"], "{report}");
}

#[test]
fn an_unused_parameter_is_found() {
    let encoder = encoder(&config(), Pooling::Cls);
    let mut parameters = encoder.parameters.clone();
    let values = Tensor::ones(3, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    parameters.insert(Parameter::new("pooler.dense.weight", &values).unwrap());
    let encoder = Encoder::new(config(), Pooling::Cls, parameters).unwrap();
    let report = examined(&encoder, Defect::None, "", &Options::default());
    assert_eq!(failed(&report), ["gradients", "moves"], "{report}");
    assert!(
        report
            .to_string()
            .contains("`pooler.dense.weight` has no gradient"),
        "{report}"
    );
}

/// Batches of the kinds that the losses are made for.
fn batches(config: &Config) -> Vec<Batch> {
    let triplets = batch(config);
    let mut pairs = triplets.clone();
    pairs.columns.remove(2);
    pairs.negatives.clear();
    (pairs.columns[0].views, pairs.columns[1].views) = (1, 1);
    let mut texts = triplets.clone();
    texts.columns.truncate(1);
    texts.columns[0].name = "text";
    texts.negatives.clear();
    texts.labels = ["a", "b", "a", "c", "b", "a"].map(String::from).to_vec();
    let anchors = &mut pairs.columns[0];
    anchors.lengths.truncate(6);
    anchors.ids.truncate(6 * anchors.width);
    let mut triplets = triplets;
    triplets.columns[0] = pairs.columns[0].clone();
    triplets.teacher = (0..13)
        .map(|document| 0.1 * (document * 5 % 7) as f32)
        .collect();
    let mut scored = pairs.clone();
    (scored.columns[0].name, scored.columns[1].name) = ("sentence1", "sentence2");
    scored.scores = vec![0.1, 0.9, 0.4, 0.6, 0.3, 1.0];
    vec![triplets, pairs, texts, scored]
}

#[test]
fn all_losses_are_healthy() {
    let encoder = encoder(&config(), Pooling::Mean);
    let names = [
        "info_nce",
        "nt_xent",
        "multiple_negatives_ranking",
        "symmetric",
        "luse",
        "luse_bce",
        "sup_con",
        "moco",
        "cosent",
        "cosine_bce",
        "cosine_mse",
        "margin_mse",
        "distillation",
    ];
    let mut recipes: Vec<String> = names
        .iter()
        .map(|name| format!("name = {name:?}"))
        .collect();
    let held = "of = { name = \"info_nce\" }";
    recipes.push(format!("name = \"adversarial\"\n{held}"));
    recipes.push(format!(
        "name = \"matryoshka\"\ndimensions = [16, 8]\n{held}"
    ));
    for recipe in recipes {
        let options: losses::Options = toml::from_str(&recipe).unwrap();
        options.check().unwrap();
        let loss = options.build(16, 1, &Device::Cpu).unwrap();
        let mut tried = 0;
        for batch in batches(&encoder.config) {
            if loss.check(&crate::training::offer(&batch)).is_err() {
                continue;
            }
            tried += 1;
            let objective = Objective {
                encoder: &encoder,
                keys: None,
                loss: Some(&*loss),
                token_losses: &[],
                kernels: Kernels::Fused,
                chunk: 0,
            };
            let mut optimizer = |parameters: &Parameters| descend(parameters, "");
            let options = Options::default();
            let report = examine(&objective, &batch, &options, &mut optimizer).unwrap();
            assert!(report.healthy(), "{recipe}\n{report}");
            // Without negatives in the batch an empty queue leaves nothing to look at.
            let state = report.check("gradients").unwrap().state;
            let waits = recipe.contains("moco") && batch.negatives.is_empty();
            assert_eq!(state == State::Skipped, waits, "{recipe}\n{report}");
        }
        assert!(tried > 0, "{recipe}: no batch");
    }
}

#[test]
fn masked_language_models_are_healthy() {
    let encoder = encoder(&config(), Pooling::Cls);
    let mlm = Mlm::of_kinds(&MlmOptions::default(), &encoder, &encoder.spare, kinds(), 1).unwrap();
    let bags = RetroMaeOptions {
        bag_of_words_weight: 0.1,
        ..RetroMaeOptions::default()
    };
    let retromae = RetroMae::of_kinds(&bags, &encoder, &encoder.spare, kinds(), 1).unwrap();
    let contrast = Contrast::new(20.0);
    let both: [(Option<&dyn Loss>, &dyn TokenLoss); 2] =
        [(Some(&contrast), &mlm), (None, &retromae)];
    let batch = batches(&encoder.config).swap_remove(1);
    for (loss, token_loss) in both {
        let objective = Objective {
            encoder: &encoder,
            keys: None,
            loss,
            token_losses: &[token_loss],
            kernels: Kernels::Fused,
            chunk: 0,
        };
        let mut optimizer = |parameters: &Parameters| descend(parameters, "");
        let report = examine(&objective, &batch, &Options::default(), &mut optimizer).unwrap();
        assert!(report.healthy(), "{report}");
    }
}

#[test]
fn the_report_is_one_for_people_and_one_for_files() {
    let report = with_defect(Defect::Mean);
    let text = report.to_string();
    assert!(text.starts_with("gradient doctor: not healthy"), "{text}");
    assert!(
        text.contains("\n  failed  chunks: all gradients: "),
        "{text}"
    );
    assert!(
        text.contains("\n  excused encoder.layer.0.attention.self.key.bias: zero by"),
        "{text}"
    );
    let json = report.to_json();
    assert_eq!(json["records"], 4);
    assert_eq!(
        json["checks"].as_array().unwrap().len(),
        report.checks.len()
    );
    assert_eq!(json["checks"][0]["state"], "passed");
    assert!(json["time"]["seconds"].as_f64().unwrap() > 0.0);
}
