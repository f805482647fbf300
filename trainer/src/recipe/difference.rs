//! Where two recipes differ, key by key.

use toml::{Table, Value};

use super::Recipe;

impl Recipe {
    /// The keys in which another recipe differs from this one, each with both values; places of
    /// files do not count. `[schedule] steps: 100 there, 200 here`
    pub fn differences(&self, other: &Recipe) -> Vec<String> {
        let table = |recipe: &Recipe| -> Table {
            let text = recipe.placeless().to_toml();
            text.parse().expect("what was written as TOML reads back")
        };
        let mut found = Vec::new();
        compare("", &table(self), &table(other), &mut found);
        found
    }
}

fn compare(within: &str, here: &Table, there: &Table, found: &mut Vec<String>) {
    let more = there.keys().filter(|key| !here.contains_key(*key));
    for key in here.keys().chain(more) {
        let (one, other) = (here.get(key), there.get(key));
        if one == other {
            continue;
        }
        let inside = match within {
            "" => key.clone(),
            within => format!("{within}.{key}"),
        };
        match (one, other) {
            (Some(Value::Table(one)), Some(Value::Table(other))) => {
                compare(&inside, one, other, found);
            }
            _ => {
                let name = match within {
                    "" => key.clone(),
                    within => format!("[{within}] {key}"),
                };
                let (there, here) = (written(other), written(one));
                found.push(format!("{name}: {there} there, {here} here"));
            }
        }
    }
}

fn written(value: Option<&Value>) -> String {
    match value {
        None => "not".into(),
        Some(Value::Table(_)) => "a table".into(),
        Some(value) => value.to_string(),
    }
}
