//! Where on an axis a value is.

/// An axis from one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear {
        from: f64,
        to: f64,
    },
    /// Equal ratios are equally far apart; both ends are above 0.
    Logarithmic {
        from: f64,
        to: f64,
    },
}

impl Scale {
    /// 0 at the beginning, 1 at the end; values outside are put there.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Logarithmic { from, to } => (value / from).ln() / (to / from).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    /// From the power of ten at or below all values to the one at or above; from 1 to 10 without values.
    pub(super) fn decades(values: impl IntoIterator<Item = f64>) -> Self {
        let (least, most) = values.into_iter().fold((f64::MAX, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
        if !(least > 0.0 && least <= most) {
            return Self::Logarithmic { from: 1.0, to: 10.0 };
        }
        let (from, to) = (least.log10().floor(), most.log10().ceil());
        // One value that is a power of ten has an axis, too.
        Self::Logarithmic { from: 10_f64.powf(from), to: 10_f64.powf(to.max(from + 1.0)) }
    }

    /// The powers of ten on a logarithmic axis.
    pub(super) fn powers(self) -> Vec<f64> {
        match self {
            Self::Linear { .. } => Vec::new(),
            Self::Logarithmic { from, to } => {
                let (first, last) = (from.log10().ceil() as i32, to.log10().floor() as i32);
                (first..=last).map(|power| 10_f64.powi(power)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_places() {
        let linear = Scale::Linear { from: 0.0, to: 2.0 };
        let logarithmic = Scale::Logarithmic { from: 1.0, to: 10_000.0 };
        for (scale, value, place) in
            [(linear, 0.5, 0.25), (linear, 3.0, 1.0), (logarithmic, 100.0, 0.5), (logarithmic, 0.1, 0.0)]
        {
            assert!((scale.place(value) - place).abs() < 1e-9, "{value} on {scale:?}");
        }
    }

    #[test]
    fn decades_hold_all_values() {
        let table =
            [(vec![3.0, 250.0], 1.0, 1e3), (vec![10.0], 10.0, 100.0), (vec![0.5], 0.1, 1.0), (vec![], 1.0, 10.0)];
        for (values, from, to) in table {
            assert_eq!(Scale::decades(values.clone()), Scale::Logarithmic { from, to }, "{values:?}");
        }
        assert_eq!(Scale::Logarithmic { from: 0.1, to: 100.0 }.powers(), [0.1, 1.0, 10.0, 100.0]);
    }
}
