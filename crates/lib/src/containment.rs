//! What holds processes together on this machine, and what does not.

use std::fmt;
use std::io;
use std::path::PathBuf;

use ganger_os::probe::{self, Namespace};

/// What holds on this machine for workers and for what they start; [`containment`] and
/// [`Pool::containment`](crate::Pool::containment) find it out, by trying.
///
/// Its text has a line for each [`Measure`]:
///
/// ```
/// let containment = ganger::containment();
/// print!("{containment}");
/// assert!(containment.measures().len() > 4);
/// assert!(containment.holds("parent-death signal"), "every Linux has that");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containment {
    measures: Vec<Measure>,
}

/// Something that may keep processes from being left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    name: &'static str,
    scope: Scope,
    holds: bool,
    reason: String,
}

/// Whom a [`Measure`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The workers of a gang.
    Workers,
    /// What they have started.
    Descendants,
}

impl Containment {
    /// All measures, those for workers first.
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Whether the measure of this name holds; `false` for a name that there is not.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        self.measures.iter().any(|measure| measure.name == name && measure.holds)
    }

    /// With what can be said of one gang's guardian.
    pub(crate) fn of_gang(guardian: Option<u32>, group: Option<PathBuf>) -> Self {
        let sweep = match guardian {
            Some(pid) => Ok(format!("when the supervisor dies, process {pid} kills all workers")),
            None => Err("the gang has no guardian: it is dismissed".to_owned()),
        };
        let group = group.map(|directory| {
            format!(
                "what workers leave behind is in {} and killed with it, when the guardian or the gang ends",
                directory.display()
            )
        });
        Self::found(sweep, group.ok_or_else(cgroup))
    }

    fn found(sweep: Found, cgroup: Found) -> Self {
        let workers = [
            ("parent-death signal", tried(probe::parent_death_signal(), "a worker dies when its guardian does")),
            ("guardian", sweep),
            ("pidfd", tried(probe::pidfd(), "deaths are seen at once, and no signal hits a stranger")),
        ];
        let group = "what a worker starts is killed with it, unless it leaves the group";
        let sweep = "what workers leave behind, however well it hides, is killed at the end of the gang";
        let subreaper = tried(probe::subreaper(), sweep);
        let together =
            Err("what workers have started survives when supervisor and guardian are killed at the same moment"
                .to_owned());
        let descendants = [
            ("process group", tried(probe::process_group(), group)),
            ("subreaper", subreaper),
            ("cgroup", cgroup),
            ("pid namespace", Err(namespace())),
            ("death of both", together),
        ];
        let measure = |scope| {
            move |(name, found): (&'static str, Found)| {
                let holds = found.is_ok();
                Measure { name, scope, holds, reason: found.unwrap_or_else(|reason| reason) }
            }
        };
        let workers = workers.into_iter().map(measure(Scope::Workers));
        Self { measures: workers.chain(descendants.into_iter().map(measure(Scope::Descendants))).collect() }
    }
}

impl Measure {
    /// Its name: `"subreaper"`, `"cgroup"`, and so on.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// Whom it is about.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// What that means, or why it does not hold.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Finds out what holds on this machine. It takes some milliseconds, and starts a few processes that end at once.
#[must_use]
pub fn containment() -> Containment {
    Containment::found(Ok("when the supervisor dies, the guardian kills all workers".to_owned()), Err(cgroup()))
}

/// What holds, or why it does not.
type Found = Result<String, String>;

fn tried(answer: io::Result<()>, holds: &str) -> Found {
    answer.map(|()| holds.to_owned()).map_err(|error| error.to_string())
}

/// None is used, if nobody asks for it: what there is to say is whether it could be.
fn cgroup() -> String {
    match probe::delegated_cgroup() {
        Ok(directory) => format!("not used; it may be asked for, as {} can be divided", directory.display()),
        Err(error) => format!("not used, and not to be had: {error}"),
    }
}

fn namespace() -> String {
    match probe::pid_namespace() {
        Ok(Namespace::Privileged) => "not used; this process is allowed to make one".to_owned(),
        Ok(Namespace::WithUserNamespace) => "not used; it could be had within a user namespace".to_owned(),
        Err(error) => format!("not used, and not to be had: {error}"),
    }
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scope in [Scope::Workers, Scope::Descendants] {
            writeln!(f, "{scope}:")?;
            for measure in self.measures.iter().filter(|measure| measure.scope == scope) {
                writeln!(f, "  {measure}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Workers => "workers",
            Self::Descendants => "what workers start",
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, holds, reason, .. } = self;
        write!(f, "{:<4}{name:<20} {reason}", if *holds { "yes" } else { "no" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gang_without_guardian_is_not_swept() {
        assert!(Containment::of_gang(Some(7), None).holds("guardian"));
        let dismissed = Containment::of_gang(None, None);
        assert!(!dismissed.holds("guardian") && dismissed.holds("parent-death signal"));
        assert!(!dismissed.holds("no such measure"));
    }

    #[test]
    fn each_measure_is_a_line_with_a_reason() {
        let containment = containment();
        let text = containment.to_string();
        assert_eq!(text.lines().count(), containment.measures().len() + 2, "{text}");
        for measure in containment.measures() {
            assert!(!measure.reason().is_empty());
            assert!(text.contains(&measure.to_string()), "{text}");
        }
    }
}
