//! Weights that follow others with momentum: the average that is evaluated, the encoder of keys.

use rayon::prelude::*;

use crate::kernels;
use crate::parameters::{Parameter, Parameters};
use crate::{Error, Result};

/// Elements that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// Moves each parameter of `followers` to `momentum * own + (1 - momentum) * leader`, where the
/// leader has the same name.
///
/// # Errors
/// A leader is missing or has another shape.
pub fn follow(followers: &Parameters, leaders: &Parameters, momentum: f64) -> Result<()> {
    for follower in followers.iter() {
        let leader = leaders.get(&follower.name).ok_or_else(|| {
            Error::Defect(format!("`{}` follows nothing of its name", follower.name))
        })?;
        one(follower, leader, momentum)?;
    }
    Ok(())
}

fn one(follower: &Parameter, leader: &Parameter, momentum: f64) -> Result<()> {
    if !follower.tensor().device().is_cpu() {
        let kept = (follower.tensor().detach() * momentum)?;
        let new = (leader.tensor().detach() * (1.0 - momentum))?;
        return follower.set(&(kept + new)?);
    }
    let (kept, new) = (momentum as f32, (1.0 - momentum) as f32);
    let mut inner = Ok(());
    kernels::in_place(follower.tensor(), |own| {
        inner = kernels::view(leader.tensor(), |leader| {
            own.par_chunks_mut(CHUNK)
                .zip(leader.par_chunks(CHUNK))
                .for_each(|(own, leader)| {
                    for (own, leader) in own.iter_mut().zip(leader) {
                        *own = *own * kept + leader * new;
                    }
                });
        });
    })?;
    Ok(inner?)
}
