//! Every choice of a schedule: drawn from a seeded generator, or taken from a list that is being
//! explored.
//!
//! The generator is our own few lines (`SplitMix64`), because a seed that failed last year must
//! replay today: the sequence may never change with the version of a dependency. The list makes the
//! schedules of a body a tree, which `Path::next` walks depth first. Nothing here knows what is
//! being chosen.

/// Where the choices of a schedule come from.
#[derive(Debug, Clone)]
pub(crate) enum Rng {
    Seeded { seed: u64, state: u64 },
    Listed(Path),
}

/// A choice: which alternative, of how many. The number is 0 if it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice {
    taken: usize,
    of: usize,
}

/// The choices that lead to one schedule. Beyond its end the first alternative is taken, and
/// written down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Path {
    choices: Vec<Choice>,
    made: usize,
    strayed: bool,
}

impl Rng {
    pub(crate) fn seeded(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
        Self::Seeded { seed, state }
    }

    /// A number below `bound`, which must not be zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        match self {
            Self::Seeded { state, .. } => {
                let wide = u128::from(next(state)) * bound as u128;
                usize::try_from(wide >> 64).unwrap_or(0)
            }
            Self::Listed(path) => path.choose(bound),
        }
    }

    /// True once in `n` times on average; always where all schedules are explored.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        matches!(self, Self::Listed(_)) || self.below(n) == 0
    }

    /// What replays the choices so far, as an environment variable.
    pub(crate) fn replay(&self) -> String {
        match self {
            Self::Seeded { seed, .. } => format!("WSK_SIM_SEED={seed}"),
            Self::Listed(path) => format!("WSK_SIM_CHOICES={}", path.text()),
        }
    }

    /// The choices that were made, if they came from a list.
    pub(crate) fn path(&self) -> Path {
        match self {
            Self::Seeded { .. } => Path::default(),
            Self::Listed(path) => path.clone(),
        }
    }
}

/// One step of `SplitMix64`.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Path {
    /// Reads what `replay` printed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let choice = |taken: &str| {
            Some(Choice {
                taken: taken.parse().ok()?,
                of: 0,
            })
        };
        let numbers = text.split('.').filter(|number| !number.is_empty());
        Some(Self {
            choices: numbers.map(choice).collect::<Option<_>>()?,
            ..Self::default()
        })
    }

    fn choose(&mut self, of: usize) -> usize {
        if of <= 1 {
            return 0;
        }
        if self.made == self.choices.len() {
            self.choices.push(Choice { taken: 0, of });
        }
        let choice = self.choices[self.made];
        self.made += 1;
        self.strayed |= choice.taken >= of || (choice.of != 0 && choice.of != of);
        choice.taken.min(of - 1)
    }

    /// Did the same choices lead to something else than before?
    pub(crate) fn strayed(&self) -> bool {
        self.strayed || self.made != self.choices.len()
    }

    /// How many choices were made.
    pub(crate) fn length(&self) -> usize {
        self.made
    }

    /// The path to the next schedule; none if this was the last.
    pub(crate) fn next(&self) -> Option<Self> {
        let mut choices = self.choices.clone();
        while let Some(choice) = choices.pop() {
            if choice.taken + 1 < choice.of {
                choices.push(Choice {
                    taken: choice.taken + 1,
                    ..choice
                });
                return Some(Self {
                    choices,
                    ..Self::default()
                });
            }
        }
        None
    }

    fn text(&self) -> String {
        let made = self.choices.iter().take(self.made);
        let numbers: Vec<_> = made.map(|choice| choice.taken.to_string()).collect();
        numbers.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Rng};

    #[test]
    fn sequence_same_seed_same_choices() {
        let draw = |seed| {
            let mut rng = Rng::seeded(seed);
            (0..32).map(|_| rng.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn below_any_bound_stays_below() {
        let mut rng = Rng::seeded(1);
        assert!((1..2000).all(|bound| rng.below(bound) < bound));
    }

    /// The schedules of a body that chooses one of two, and after the second one of three.
    fn explore(body: impl Fn(&mut Rng) -> Vec<usize>) -> Vec<Vec<usize>> {
        let mut found = Vec::new();
        let mut next = Some(Path::default());
        while let Some(path) = next {
            let mut rng = Rng::Listed(path);
            found.push(body(&mut rng));
            assert!(!rng.path().strayed());
            next = rng.path().next();
        }
        found
    }

    #[test]
    fn next_path_all_choices_are_made_once() {
        let found = explore(|rng| match rng.below(2) {
            0 => vec![0],
            _ => vec![1, rng.below(1), rng.below(3)],
        });
        let expected = [vec![0], vec![1, 0, 0], vec![1, 0, 1], vec![1, 0, 2]];
        assert_eq!(found, expected);
    }

    #[test]
    fn replay_text_leads_to_the_same_choices() {
        let mut first = Rng::Listed(Path::parse("1.0.2").unwrap());
        let chosen = [
            first.below(2),
            first.below(4),
            first.below(3),
            first.below(2),
        ];
        assert_eq!(chosen, [1, 0, 2, 0]);
        assert_eq!(first.replay(), "WSK_SIM_CHOICES=1.0.2.0");
        assert!(Path::parse("1.x").is_none());
    }

    #[test]
    fn strayed_other_number_of_alternatives_is_noticed() {
        let mut first = Rng::Listed(Path::default());
        first.below(2);
        let mut second = Rng::Listed(first.path().next().unwrap());
        second.below(3);
        assert!(second.path().strayed());
    }
}
