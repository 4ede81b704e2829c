//! What worker processes may use.

use super::options::read;
use super::quantity::parse_bytes;
use super::settings::Settings;
use crate::exit::Abort;
use ganger::{Builder, Pool, Rlimit, RlimitBounds};

/// Holds what is asked for; what is missing stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(super) rlimits: Vec<(Rlimit, RlimitBounds)>,
    pub(super) nice: Option<i32>,
    pub(super) pin: Option<Pin>,
    /// The gang has a control group of its own.
    pub(super) cgroup: bool,
}

/// Says on which processors workers stay, each on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pin {
    /// On those that this process may use.
    Auto,
    To(Vec<usize>),
}

impl Attributes {
    /// Reads the settings.
    pub(super) fn parse(settings: &Settings) -> Result<Self, Abort> {
        let rlimits = settings.list("rlimit").iter().flat_map(|list| list.split(','));
        let rlimit = |text: &str| parse_rlimit(text).map_err(|problem| settings.wrong("rlimit", problem));
        let attributes = Self {
            rlimits: rlimits.map(rlimit).collect::<Result<_, _>>()?,
            nice: read(settings, "nice", parse_niceness)?,
            pin: read(settings, "pin", parse_pin)?.flatten(),
            cgroup: settings.is_on("cgroup"),
        };
        attributes.check(settings)?;
        Ok(attributes)
    }

    /// Asks the pool about each alone, as what it refuses is to be named as the user has written it.
    fn check(&self, settings: &Settings) -> Result<(), Abort> {
        let only_rlimits = Self { rlimits: self.rlimits.clone(), ..Self::default() };
        let only_nice = Self { nice: self.nice, ..Self::default() };
        let only_pin = Self { pin: self.pin.clone(), ..Self::default() };
        for (name, only) in [("rlimit", only_rlimits), ("nice", only_nice), ("pin", only_pin)] {
            only.apply(Pool::builder()).validate().map_err(|error| settings.wrong(name, error))?;
        }
        Ok(())
    }

    /// Asks the pool for them.
    pub(crate) fn apply(&self, mut builder: Builder) -> Builder {
        for (resource, bounds) in &self.rlimits {
            builder = builder.rlimit(*resource, *bounds);
        }
        builder = builder.cgroup(self.cgroup);
        if let Some(niceness) = self.nice {
            builder = builder.nice(niceness);
        }
        match &self.pin {
            Some(Pin::Auto) => builder.pin(),
            Some(Pin::To(cpus)) => builder.pin_to(cpus.iter().copied()),
            None => builder,
        }
    }
}

/// Reads `nofile=256` or, for the soft and the hard limit, `nofile=256:1024`.
fn parse_rlimit(text: &str) -> Result<(Rlimit, RlimitBounds), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not NAME=VALUE such as nofile=256, as=4GiB or core=unlimited"))?;
    let resource: Rlimit = name.trim().parse().map_err(|error: ganger::Error| error.to_string())?;
    let amount = |text: &str| parse_amount(resource, text.trim());
    let bounds = match value.split_once(':') {
        Some((soft, hard)) => RlimitBounds::from((amount(soft)?, amount(hard)?)),
        None => RlimitBounds::from(amount(value)?),
    };
    Ok((resource, bounds))
}

fn parse_amount(resource: Rlimit, text: &str) -> Result<u64, String> {
    if text == "unlimited" {
        return Ok(Rlimit::UNLIMITED);
    }
    let (what, parsed) = match resource {
        Rlimit::Nofile | Rlimit::Nproc => ("whole number", text.parse().ok()),
        Rlimit::Cpu => ("whole number of seconds", text.strip_suffix('s').unwrap_or(text).parse().ok()),
        _ => ("size such as 512M, 1.5GiB or 64KiB", parse_bytes(text)),
    };
    parsed.ok_or_else(|| format!("{resource}={text}: {text:?} is neither a {what} nor unlimited"))
}

fn parse_niceness(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is not a whole number from -20 (first) to 19 (last)");
    text.parse().ok().filter(|niceness| (-20..=19).contains(niceness)).ok_or_else(wrong)
}

/// Says whether it is what `--pin` takes, and returns it.
pub(crate) fn checked_pin(text: &str) -> Result<String, String> {
    parse_pin(text).map(|_| text.to_owned())
}

/// Reads `auto`, `none`, or a list of processors; `None` is none.
fn parse_pin(text: &str) -> Result<Option<Pin>, String> {
    match text {
        "auto" => Ok(Some(Pin::Auto)),
        "none" => Ok(None),
        list => {
            let wrong = || format!("{text:?} is neither auto nor none nor a list of processors such as 0,2-3");
            let cpus: Option<Vec<Vec<usize>>> = list.split(',').map(cpus).collect();
            Ok(Some(Pin::To(cpus.ok_or_else(wrong)?.concat())))
        }
    }
}

/// No kernel knows more.
const MOST_CPUS: usize = 8192;

/// Reads `3` or `2-5`.
fn cpus(text: &str) -> Option<Vec<usize>> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|cpu| *cpu < MOST_CPUS);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then(|| (first..=last).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_the_unit_of_their_resource() {
        for (text, resource, bounds) in [
            ("nofile=256", Rlimit::Nofile, RlimitBounds::from(256)),
            ("nofile=256:unlimited", Rlimit::Nofile, (256, Rlimit::UNLIMITED).into()),
            ("as=4GiB", Rlimit::As, (4 << 30).into()),
            ("fsize=0", Rlimit::Fsize, 0.into()),
            ("data=512M", Rlimit::Data, 512_000_000.into()),
            ("cpu=10", Rlimit::Cpu, 10.into()),
            ("cpu=10s:20s", Rlimit::Cpu, (10, 20).into()),
            (" core = unlimited", Rlimit::Core, Rlimit::UNLIMITED.into()),
        ] {
            assert_eq!(parse_rlimit(text), Ok((resource, bounds)), "{text}");
        }
        for (text, problem) in [
            ("nofile", "\"nofile\" is not NAME=VALUE such as nofile=256"),
            ("", "\"\" is not NAME=VALUE"),
            (
                "files=3",
                "there is no rlimit \"files\": it is one of as, core, cpu, data, fsize, memlock, nofile, nproc, stack",
            ),
            ("nofile=1K", "nofile=1K: \"1K\" is neither a whole number nor unlimited"),
            ("nofile=-1", "nofile=-1: \"-1\" is neither"),
            ("cpu=1m", "cpu=1m: \"1m\" is neither a whole number of seconds nor unlimited"),
            ("as=", "as=: \"\" is neither a size such as 512M"),
            ("as=1:2:3", "as=2:3: \"2:3\" is neither a size"),
        ] {
            let told = parse_rlimit(text).unwrap_err();
            assert!(told.starts_with(problem), "{told}");
        }
    }

    #[test]
    fn processors_are_read() {
        assert_eq!(parse_pin("auto"), Ok(Some(Pin::Auto)));
        assert_eq!(parse_pin("none"), Ok(None));
        assert_eq!(parse_pin("3"), Ok(Some(Pin::To(vec![3]))));
        assert_eq!(parse_pin("0,2-4, 7"), Ok(Some(Pin::To(vec![0, 2, 3, 4, 7]))));
        for text in ["", "square", "0,", "3-1", "-1", "1-", "0-99999999", "1.5"] {
            let problem = parse_pin(text).unwrap_err();
            assert_eq!(problem, format!("{text:?} is neither auto nor none nor a list of processors such as 0,2-3"));
        }
    }

    #[test]
    fn niceness_has_bounds() {
        assert_eq!((parse_niceness("-20"), parse_niceness("19")), (Ok(-20), Ok(19)));
        for text in ["20", "-21", "x", "1.5", ""] {
            assert!(parse_niceness(text).unwrap_err().contains("from -20 (first) to 19 (last)"), "{text}");
        }
    }
}
