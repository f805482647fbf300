//! Standard column names: what the name of a column says of its role and of the views it is for.

use super::{Column, Role, column};

/// Names of text columns that make pairs and triplets, in reading order.
const TUPLES: &[&[&str]] = &[
    &["anchor", "positive", "negative"],
    &["anchor", "positive"],
    &["sent0", "sent1", "hard_neg"],
    &["origin", "entailment", "contradiction"],
];

/// Columns with these names; what plans may call a column is checked here.
///
/// # Errors
/// Says which name cannot be used in a view, stands twice, or that there is none.
pub fn columns(reader: &str, names: &[String]) -> Result<Vec<Column>, String> {
    if names.is_empty() {
        return Err(format!(
            "reader `{reader}` needs `columns = [\"…\"]`, the names of its columns in order"
        ));
    }
    for (at, name) in names.iter().enumerate() {
        let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-');
        if name.is_empty() || !name.chars().all(fits) {
            let accepted = "letters, digits, `_`, `.` and `-`";
            return Err(format!(
                "reader `{reader}`: column name `{name}` cannot stand in a view; accepted are {accepted}"
            ));
        }
        if names[..at].contains(name) {
            return Err(format!(
                "reader `{reader}`: column `{name}` stands twice in `columns`"
            ));
        }
    }
    Ok(names.iter().map(|name| column(name, role(name))).collect())
}

/// The part that a column of this name plays.
pub fn role(name: &str) -> Role {
    match name {
        "score" | "id" | "_id" | "qid" | "guid" => Role::Key,
        "label" | "topic" | "category" | "source" | "english" => Role::Other,
        _ => Role::Text,
    }
}

/// The views that columns of these names are for; `sentences` if the names are not standard.
pub fn views(columns: &[Column]) -> Vec<String> {
    let has = |name: &&str| columns.iter().any(|column| column.name == **name);
    for tuple in TUPLES {
        if tuple.iter().all(has) {
            return vec![tuple.join("->")];
        }
    }
    if has(&"sentence1") && has(&"sentence2") {
        // LCQMC, BQ and their like call the score `label`: 0 or 1.
        if let Some(score) = ["score", "label"].iter().find(|name| has(name)) {
            return vec![format!("sentence1~sentence2={score}")];
        }
        return vec!["sentence1->sentence2".into()];
    }
    let text = ["text", "sentence"].iter().find(|name| has(name));
    match text {
        Some(text) if has(&"label") => vec![format!("{text}=label")],
        _ => vec!["sentences".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        views(&columns("tsv", &names).unwrap())
    }

    #[test]
    fn standard_names_give_views() {
        assert_eq!(of(&["anchor", "positive"]), ["anchor->positive"]);
        assert_eq!(
            of(&["id", "anchor", "positive", "negative"]),
            ["anchor->positive->negative"]
        );
        assert_eq!(
            of(&["sentence1", "sentence2", "score"]),
            ["sentence1~sentence2=score"]
        );
        assert_eq!(
            of(&["sentence1", "sentence2", "label"]),
            ["sentence1~sentence2=label"]
        );
        assert_eq!(of(&["sentence1", "sentence2"]), ["sentence1->sentence2"]);
        assert_eq!(of(&["label", "text"]), ["text=label"]);
        assert_eq!(of(&["sentence", "label"]), ["sentence=label"]);
        assert_eq!(
            of(&["sent0", "sent1", "hard_neg"]),
            ["sent0->sent1->hard_neg"]
        );
        assert_eq!(of(&["title", "content"]), ["sentences"]);
    }

    #[test]
    fn names_that_no_view_can_hold_are_errors() {
        let error = |name: &str| columns("tsv", &[name.to_string()]).unwrap_err();
        for name in ["a->b", "a b", "", "a~b", "a=b", "a(b)", "a,b"] {
            assert!(error(name).contains("letters, digits"), "{name}");
        }
        assert!(columns("tsv", &["标题".into(), "a-b".into(), "x.y_2".into()]).is_ok());
        assert!(
            columns("tsv", &["a".into(), "a".into()])
                .unwrap_err()
                .contains("twice")
        );
        assert!(columns("tsv", &[]).unwrap_err().contains("needs `columns"));
    }

    #[test]
    fn roles_follow_names() {
        assert_eq!(role("score"), Role::Key);
        assert_eq!(role("label"), Role::Other);
        assert_eq!(role("title"), Role::Text);
    }
}
