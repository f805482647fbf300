//! Functions of one number, written so that sixteen of them fit the registers of one loop.

// Polynomials have the constants near, but not at, those of the series.
#![allow(clippy::approx_constant, clippy::excessive_precision)]

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// `e^x`; its relative error is at most 3e-7 between -87 and 88. Below it is 0, above it stays where it
/// is.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding this number leaves the nearest integer in the last bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with zeros behind, so that its multiples are exact.
    const LN_2: (f32, f32) = (0.693_359_375, -2.121_944_4e-4);
    // 2^f between -0.5 and 0.5, the largest relative error made smallest (2e-9 before rounding).
    const POWER: [f32; 7] = [
        0.000_153_458_12,
        0.001_339_993_1,
        0.009_618_489,
        0.055_503_286,
        0.240_226_46,
        0.693_147_2,
        1.0,
    ];
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = x.mul_add(LOG2_E, ROUND);
    let whole = rounded - ROUND;
    let rest = whole.mul_add(-LN_2.1, whole.mul_add(-LN_2.0, x)) * LOG2_E;
    let mut power = POWER[0];
    for factor in &POWER[1..] {
        power = power.mul_add(rest, *factor);
    }
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    let value = power * f32::from_bits(exponent.wrapping_add(127) << 23);
    // Down there the exponent does not fit; what is nearly 0 would be a slow number besides.
    if x < -87.0 { 0.0 } else { value }
}

/// The error function; its error is at most 4e-7.
///
/// `x P(x²) / Q(x²)` up to 3.92, from where it is 1 in f32; P and Q make the largest relative error
/// smallest (2e-8 before rounding).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    const LAST: f32 = 3.92;
    const P: [f32; 6] = [
        2.050_086_8e-6,
        0.000_284_882_06,
        0.003_765_599,
        0.052_748_665,
        0.190_406_08,
        1.128_379_1,
    ];
    const Q: [f32; 6] = [
        3.809_167_5e-5,
        0.001_162_530_6,
        0.014_969_18,
        0.114_108_95,
        0.502_075_73,
        1.0,
    ];
    let x = if x > LAST { LAST } else { x };
    let x = if x < -LAST { -LAST } else { x };
    let square = x * x;
    let (mut over, mut under) = (P[0], Q[0]);
    for (p, q) in P[1..].iter().zip(&Q[1..]) {
        over = over.mul_add(square, *p);
        under = under.mul_add(square, *q);
    }
    x * over / under
}

/// The share of a normal distribution below x.
#[inline(always)]
pub fn normal_below(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * FRAC_1_SQRT_2)
}

/// The density of a normal distribution at x.
#[inline(always)]
pub fn normal_density(x: f32) -> f32 {
    const ONE_OVER_ROOT_2_PI: f32 = 0.398_942_28;
    ONE_OVER_ROOT_2_PI * exp(-0.5 * x * x)
}

#[cfg(test)]
mod tests {
    use super::{erf, exp};

    #[test]
    fn exp_is_near() {
        let mut worst = 0.0f64;
        for step in -870_000..880_000 {
            let x = step as f32 * 1e-4;
            let right = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - right).abs() / right);
        }
        assert!(worst < 3e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e30) == 0.0 && exp(f32::NEG_INFINITY) == 0.0 && exp(1e30).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn erf_is_near() {
        let mut worst = 0.0f64;
        for step in -60_000..60_000 {
            let x = step as f32 * 1e-4;
            worst = worst.max((f64::from(erf(x)) - right_erf(f64::from(x))).abs());
        }
        assert!(worst < 4e-7, "{worst}");
        assert!(erf(f32::NAN).is_nan());
    }

    /// The Taylor series, in which 6 is still near.
    fn right_erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        // erf x = 2/√π e^{-x²} Σ 2^n x^{2n+1} / (2n+1)!!, all terms of one sign.
        sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
    }
}
