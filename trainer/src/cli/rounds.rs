//! `juzi train` of a recipe with `[rounds]`: trainings one after another, each on negatives that the
//! one before it mined.

use std::path::Path;

use juzi_trainer::experiment::{News, model_of};
use juzi_trainer::loader::Threads;
use juzi_trainer::recipe::Recipe;
use juzi_trainer::rounds::{self, Request};
use juzi_trainer::{Error, Result, interrupt};

use super::train::{DEPTH, Line, Train, WORKERS_MAX, resume};
use crate::{cores, tell};

/// Trains all rounds; with `--resume` it goes on.
///
/// # Errors
/// As the library says.
pub fn train(recipe: &Recipe, (path, args): (&Path, &Train), run: &Path) -> Result<()> {
    if args.doctor {
        return Err(Error::Usage(
            "--doctor: with [rounds] the doctor looks when the first round begins".into(),
        ));
    }
    if !args.resume && rounds::dir_of(run, 1).exists() {
        return Err(Error::Usage(format!(
            "{}: rounds are here already; go on with them by --resume, or name another directory \
             with --run",
            run.display()
        )));
    }
    interrupt::listen();
    let request = Request {
        run: run.into(),
        data: args.data.clone(),
        threads: Threads {
            workers: args.workers.unwrap_or_else(|| cores().min(WORKERS_MAX)),
            depth: DEPTH,
        },
        program: rounds::front_program(),
        doctor: true,
    };
    let log_steps = recipe.training.log_steps;
    let mut line = Line::new(log_steps);
    let done = rounds::run(
        recipe,
        &request,
        &interrupt::asked,
        &mut |news| match news {
            News::Line(text) => tell(&format!("# {text}")),
            News::Step(progress) => line.show(progress),
            News::Trained => {
                line.end();
                line = Line::new(log_steps);
            }
        },
    );
    let last = done.map_err(|error| match error {
        Error::Interrupted { .. } => Error::Interrupted {
            resume: resume(path, args, run),
        },
        other => other,
    })?;
    tell(&format!(
        "# complete: {}, its model {}",
        last.dir.display(),
        model_of(&last.dir).display()
    ));
    Ok(())
}
