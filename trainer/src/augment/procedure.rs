//! Options made ready: which operators each view of a text gets.

use juzi_schemas::random::Draws;

use super::operators::{Name, Operator};
use super::options::{Apply, Options};

/// Which operators make the views of a text.
#[derive(Clone, Debug)]
pub(super) struct Procedure {
    operators: Vec<Operator>,
    choice: Choice,
    /// Whether the original follows the views.
    pub original: bool,
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    /// A pool with `copies` of each operator is shuffled, the first `views` are kept.
    First { copies: usize, views: usize },
    /// A pool with one of each operator is shuffled, each is kept with this probability.
    Share(f64),
    /// All operators make each view.
    All(usize),
    /// Each view draws one operator.
    One(usize),
}

impl Procedure {
    pub fn new(options: &Options) -> Procedure {
        let named = |name, rate| Operator { name, rate };
        match options {
            Options::Luse(luse) => {
                let names = &Name::ALL[..4];
                Procedure {
                    operators: names.iter().map(|&name| named(name, luse.alpha)).collect(),
                    choice: first(luse.views as usize),
                    original: false,
                }
            }
            Options::Eda(eda) => {
                let rates = [eda.alpha_sr, eda.alpha_ri, eda.alpha_rs, eda.p_rd];
                let all = Name::ALL.into_iter().zip(rates);
                let operators: Vec<Operator> = all
                    .filter(|(_, rate)| *rate > 0.0)
                    .map(|(name, rate)| named(name, rate))
                    .collect();
                let choice = match eda.views < 1.0 {
                    true => Choice::Share(eda.views / operators.len() as f64),
                    false => first(eda.views as usize),
                };
                Procedure {
                    operators,
                    choice,
                    original: true,
                }
            }
            Options::Operators(listed) => Procedure {
                operators: listed.operators.clone(),
                choice: match listed.apply {
                    Apply::All => Choice::All(listed.views as usize),
                    Apply::One => Choice::One(listed.views as usize),
                },
                original: false,
            },
        }
    }

    /// Whether synonyms are looked for.
    pub fn wants_synonyms(&self) -> bool {
        self.operators.iter().any(|o| o.name.wants_synonyms())
    }

    /// The operators of a view, by the number that [`Procedure::assign`] gave it.
    pub fn operators(&self, assigned: u32) -> &[Operator] {
        match self.choice {
            Choice::All(_) => &self.operators,
            Choice::First { copies, .. } => {
                std::slice::from_ref(&self.operators[assigned as usize / copies])
            }
            Choice::Share(_) | Choice::One(_) => {
                std::slice::from_ref(&self.operators[assigned as usize])
            }
        }
    }

    /// Says of each view of a text what makes it.
    ///
    /// LUSE makes a pool of candidates, shuffles it and cuts it. Here the places of the pool are
    /// shuffled and cut first, and only the candidates that stay are made. The views have the
    /// same distribution: candidates are made independently of each other and of the shuffle, and
    /// those of one operator alike, so a candidate is the same whether it is drawn before or after
    /// the shuffle that moves it.
    pub fn assign(&self, draws: &mut Draws, out: &mut Vec<u32>) {
        out.clear();
        let count = self.operators.len();
        match self.choice {
            Choice::All(views) => out.resize(views, 0),
            Choice::One(views) => {
                out.extend((0..views).map(|_| draws.below(count) as u32));
            }
            Choice::First { copies, views } => {
                out.extend(0..(count * copies) as u32);
                let kept = views.min(out.len());
                shuffle_first(out, kept, draws);
                out.truncate(kept);
            }
            Choice::Share(probability) => {
                out.extend(0..count as u32);
                shuffle_first(out, count, draws);
                out.retain(|_| draws.chance(probability));
            }
        }
    }
}

fn first(views: usize) -> Choice {
    let copies = views / 4 + 1;
    Choice::First { copies, views }
}

/// The first `count` steps of a Fisher-Yates shuffle: they settle the first `count` places.
fn shuffle_first(all: &mut [u32], count: usize, draws: &mut Draws) {
    for at in 0..count {
        let other = at + draws.below(all.len() - at);
        all.swap(at, other);
    }
}
