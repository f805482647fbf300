//! Who may know whom inside a crate: layers point down.

use crate::tidy::{code, sources};

/// Folders and files of the pipeline that must not say certain words.
const EDGES: &[(&str, &[&str])] = &[
    (
        "readers",
        &[
            "crate::stages",
            "crate::views",
            "crate::text",
            "crate::plan",
            "crate::show",
            "crate::inputs",
        ],
    ),
    (
        "text",
        &[
            "crate::stages",
            "crate::readers",
            "crate::lexicon",
            "crate::views",
            "crate::plan",
            "crate::show",
            "crate::inputs",
        ],
    ),
    (
        "lexicon",
        &[
            "crate::stages",
            "crate::readers",
            "crate::views",
            "crate::plan",
            "crate::show",
            "crate::inputs",
        ],
    ),
    ("samplers", &["crate::", "arrow"]),
    (
        "neighbors",
        &[
            "crate::stages",
            "crate::readers",
            "crate::lexicon",
            "crate::vectors",
            "crate::views",
            "crate::text",
            "crate::plan",
            "crate::show",
            "crate::inputs",
        ],
    ),
    ("bm25", &["crate::stages", "crate::text", "crate::plan"]),
    (
        "vectors",
        &[
            "crate::stages",
            "crate::lexicon",
            "crate::neighbors",
            "crate::views",
            "crate::text",
            "crate::plan",
            "crate::show",
        ],
    ),
    (
        "inputs",
        &[
            "crate::stages",
            "crate::views",
            "crate::text",
            "crate::plan",
            "crate::show",
        ],
    ),
    (
        "flow",
        &[
            "crate::stages",
            "crate::readers",
            "crate::views",
            "crate::text",
            "crate::plan",
            "crate::show",
        ],
    ),
    (
        "stages",
        &[
            "crate::show",
            "crate::init",
            "crate::status",
            "crate::selftest",
        ],
    ),
    ("", &["crate::cli", "crate::main", "juzi_trainer", "candle"]),
];

/// Folders and files of the trainer that must not say certain words.
const TRAINER_EDGES: &[(&str, &[&str])] = &[
    (
        "kernels",
        &[
            "crate::encoder",
            "crate::parameters",
            "crate::losses",
            "crate::recipe",
            "crate::training",
        ],
    ),
    (
        "encoder",
        &[
            "crate::losses",
            "crate::loader",
            "crate::optimizer",
            "crate::checkpoint",
            "crate::training",
        ],
    ),
    (
        "losses",
        &[
            "crate::loader",
            "crate::optimizer",
            "crate::checkpoint",
            "crate::training",
        ],
    ),
    (
        "optimizer",
        &["crate::encoder", "crate::losses", "crate::loader"],
    ),
    ("tokenizer", &["crate::collate", "crate::loader", "candle"]),
    ("augment", &["crate::collate", "crate::loader", "candle"]),
    (
        "loader",
        &["crate::encoder", "crate::losses", "crate::training"],
    ),
    ("metrics", &["crate::", "candle"]),
    (
        "evaluators",
        &[
            "crate::loader",
            "crate::checkpoint",
            "crate::training",
            "crate::recipe",
        ],
    ),
    ("", &["crate::cli", "crate::main", "juzi_pipeline"]),
];

/// Checks one crate's sources against its edges; the program itself may know everything.
fn layers_point_down(root: &str, edges: &[(&str, &[&str])]) {
    for (name, text) in sources() {
        let Some(inside) = name.strip_prefix(root) else {
            continue;
        };
        // Tests may borrow the fixtures of others.
        let exempt = inside == "main.rs" || inside.starts_with("cli");
        if exempt || inside.ends_with("tests.rs") {
            continue;
        }
        let code = code(&text);
        for (folder, never) in edges {
            if !inside.starts_with(folder) {
                continue;
            }
            for word in *never {
                assert!(!code.contains(word), "{name} must not know {word}");
            }
        }
    }
}

#[test]
fn layers_of_the_pipeline_point_down() {
    layers_point_down("pipeline/src/", EDGES);
    for (name, text) in sources() {
        let fenced = !name.starts_with("pipeline/src/")
            || name.starts_with("pipeline/src/show/")
            || !code(&text).contains("polars");
        assert!(fenced, "{name}: polars stays behind the fence of show/");
    }
}

#[test]
fn layers_of_the_trainer_point_down() {
    layers_point_down("trainer/src/", TRAINER_EDGES);
}
