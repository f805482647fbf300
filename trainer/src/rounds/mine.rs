//! Between two trainings: vectors of all texts, and negatives and batches by them.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use juzi_schemas::dataset;
use juzi_schemas::manifest;

use super::{RoundsOptions, plan};
use crate::experiment::{News, Run, interrupted};
use crate::export::{Card, Export};
use crate::model::Model;
use crate::{Error, Result, embed, training};

/// Datasets of a plan that vectors do not change.
const KEPT: [&str; 3] = ["shards", "synonyms", "topics"];

/// How often a running program is looked at.
const PACE: Duration = Duration::from_millis(100);

/// What is mined for a round.
pub struct Mining<'a> {
    /// The round that it is for.
    pub run: &'a Run,
    /// The table.
    pub rounds: &'a RoundsOptions,
    /// The directory of the plan's datasets.
    pub made: &'a Path,
    /// The front program.
    pub program: &'a Path,
    /// The folder of the model that the round begins from; none for that of the recipe.
    pub model: Option<PathBuf>,
}

fn data_of(round: &Path) -> PathBuf {
    round.join("data")
}

/// Where the batches of a round are.
pub fn batches_of(round: &Path) -> PathBuf {
    data_of(round).join("batches")
}

/// Whether they are there.
pub fn is_made(round: &Path) -> bool {
    batches_of(round).join(manifest::NAME).exists()
}

impl Mining<'_> {
    /// Embeds all texts by the model that the round begins from, and lets the front program make
    /// negatives and batches by the vectors.
    ///
    /// # Errors
    /// A dataset is missing, a model cannot be opened, the program fails or a person stops it.
    pub fn run(
        &self,
        stop: &(dyn Fn() -> bool + Sync),
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<()> {
        let round = &self.run.dir;
        let data = data_of(round);
        self.link(&data)?;
        let model = self.model()?;
        let embeddings = data.join("embeddings");
        tell(News::Line(&format!(
            "{}: vectors of all texts by {}",
            self.run.name,
            model.display()
        )));
        embedded(&model, &data.join("shards"), &embeddings, stop)?;
        if stop() {
            return Err(interrupted());
        }
        let plan = self.write_plan(&embeddings)?;
        let mut command = Command::new(self.program);
        command.arg("run").arg(&plan).arg("--data").arg(&data);
        let threads = rayon::current_num_threads().to_string();
        command.args(["--threads", &threads]);
        tell(News::Line(&format!(
            "{}: {}",
            self.run.name,
            shown(&command)
        )));
        let status = finished(&mut self.start(&mut command)?, self.program, stop)?;
        if stop() {
            return Err(interrupted());
        }
        match status.success() && is_made(round) {
            true => Ok(()),
            false => Err(Error::Failed(format!(
                "{}: {} ended with {status}",
                self.run.name,
                shown(&command)
            ))),
        }
    }

    /// Lets the round's own data have what of the plan's stays as it is.
    fn link(&self, data: &Path) -> Result<()> {
        let store = data.join(dataset::STORE);
        std::fs::create_dir_all(&store).map_err(Error::input(&store))?;
        for stage in KEPT {
            let there = self.made.join(stage);
            if !there.exists() {
                continue;
            }
            let there = there.canonicalize().map_err(Error::input(&there))?;
            let own = store.join(there.file_name().unwrap_or_default());
            if !own.exists() {
                std::os::unix::fs::symlink(&there, &own).map_err(Error::input(&own))?;
            }
            dataset::switch(data, stage, &own)?;
        }
        if !data.join(KEPT[0]).exists() {
            return Err(Error::Usage(format!(
                "{}: no shards here, beside the dataset of the first round; [rounds] needs those of \
                 its plan",
                self.made.display()
            )));
        }
        // Hashes of input files that are known need not be computed again.
        let known = self.made.join(dataset::STORE).join("inputs.json");
        if known.exists() {
            let own = store.join("inputs.json");
            std::fs::copy(&known, &own).map_err(Error::input(own))?;
        }
        Ok(())
    }

    /// The folder of the model that the round begins from.
    fn model(&self) -> Result<PathBuf> {
        if let Some(model) = &self.model {
            return Ok(model.clone());
        }
        let recipe = &self.run.recipe;
        let folder = self.run.dir.join("start");
        if !folder.exists() {
            let encoder = training::Model::open(recipe, &candle_core::Device::Cpu)?.encoder;
            let export = Export {
                length_max: recipe.tokenizer.length_max.min(encoder.config.length_max()),
                encoder,
                tokenizer: PathBuf::from(&recipe.tokenizer.path),
                lowercase: false,
                prompts: Default::default(),
                default_prompt: None,
                heads: Default::default(),
                card: Card {
                    title: "start".into(),
                    ..Card::default()
                },
            };
            export.write(&folder)?;
        }
        Ok(folder)
    }

    fn write_plan(&self, embeddings: &Path) -> Result<PathBuf> {
        let old =
            std::path::absolute(&self.rounds.plan).map_err(Error::input(&self.rounds.plan))?;
        let text = std::fs::read_to_string(&old).map_err(Error::input(&old))?;
        let base = old.parent().unwrap_or(Path::new(""));
        let embeddings = std::path::absolute(embeddings).map_err(Error::input(embeddings))?;
        let text = plan::of_round(&text, base, &embeddings).map_err(|message| Error::Recipe {
            path: old.clone(),
            message,
        })?;
        let own = self.run.dir.join("plan.toml");
        dataset::replace(&own, text.as_bytes())?;
        Ok(own)
    }

    /// Starts the program; what it says to stdout is talk here.
    fn start(&self, command: &mut Command) -> Result<Child> {
        let talk = std::io::stderr().as_fd().try_clone_to_owned();
        let talk = talk.map_err(Error::input("stderr"))?;
        let started = command.stdin(Stdio::null()).stdout(talk).spawn();
        started.map_err(|error| {
            Error::Usage(format!(
                "{}: {error}; rounds need the front program, beside juzi-train or on the PATH",
                self.program.display()
            ))
        })
    }
}

/// Makes vectors of all texts of a dataset.
fn embedded(
    model: &Path,
    shards: &Path,
    output: &Path,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<()> {
    let request = embed::Request {
        model: model.into(),
        inputs: vec![shards.into()],
        column: None,
        prompt: None,
        output: output.into(),
    };
    let model = Model::open(model)?;
    let sizes = embed::Sizes::of(model.encoder.device());
    embed::run(&model, &request, sizes, &|_| stop(), &|_| {})?;
    Ok(())
}

/// Waits for a program; one that is to be stopped loses nothing, it goes on another time.
fn finished(
    child: &mut Child,
    program: &Path,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().map_err(Error::input(program))? {
            return Ok(status);
        }
        if stop() {
            // It may have ended by itself.
            let _ = child.kill();
            return child.wait().map_err(Error::input(program));
        }
        std::thread::sleep(PACE);
    }
}

fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|word| word.to_string_lossy());
    let program = command.get_program().to_string_lossy();
    let words: Vec<_> = std::iter::once(program).chain(arguments).collect();
    words.join(" ")
}
