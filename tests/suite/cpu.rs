//! How many processors there are for a gang: affinity, and quotas of control groups of both versions, also where their files
//! say what no kernel says. The files are made up in a mount namespace of the helper's own.

use std::fmt::Write;
use std::process::Command;
use std::sync::OnceLock;

use ganger::cpu_count;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::kit::helper;

pub(crate) const ONCE: crate::Once = table![
    affinity_counts,
    quotas_of_version_2_count_and_bad_ones_do_not,
    quotas_of_version_1_count_and_bad_ones_do_not,
];

/// Why files cannot be made up here.
pub(crate) fn obstacle() -> Option<&'static str> {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let works = || {
        let mount = "mount --bind /dev/null /proc/$$/cgroup";
        Command::new("unshare")
            .args(["--mount", "sh", "-c", mount])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    (!*FOUND.get_or_init(works)).then_some("no mount namespace can be made")
}

fn affinity_counts() {
    let all = sched_getaffinity(Pid::this()).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| all.is_set(*cpu).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(Pid::this(), &one).unwrap();
    assert_eq!(cpu_count(), 1);
    sched_setaffinity(Pid::this(), &all).unwrap();
    assert!(cpu_count() >= 1);
}

/// What the helper finds when its process is in `groups` and these files are below `/sys/fs/cgroup`.
fn found(groups: &str, files: &[(&str, &str)]) -> usize {
    let mut script =
        String::from("set -e; mount -t tmpfs none /sys/fs/cgroup; mkdir -p /sys/fs/cgroup/cpu/x /sys/fs/cgroup/x; ");
    for (path, text) in files {
        write!(script, "printf %b '{text}' > /sys/fs/cgroup/{path}; ").unwrap();
    }
    write!(
        script,
        "printf %b '{groups}' > /sys/fs/cgroup/groups; mount --bind /sys/fs/cgroup/groups /proc/$$/cgroup; "
    )
    .unwrap();
    script += "exec \"$0\"";
    let program = helper("cpus");
    let mut command = Command::new("unshare");
    let output = command.args(["--mount", "sh", "-c", &script]).arg(program.get_program()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    text.parse()
        .unwrap_or_else(|_| panic!("{groups:?} {files:?}: {text:?}, {}", String::from_utf8_lossy(&output.stderr)))
}

fn quotas_of_version_2_count_and_bad_ones_do_not() {
    let quota = |text: &'static str| found("0::/x\\n", &[("x/cgroup.controllers", "cpu"), ("x/cpu.max", text)]);
    let all = quota("max 100000\\n");
    assert!(all >= 1);
    assert_eq!(quota("100000 100000\\n"), 1, "one processor");
    assert_eq!(quota("1000 100000\\n"), 1, "less than one");
    for bad in [
        "",
        "\\n",
        "100000",
        "many 100000\\n",
        "100000 0\\n",
        "0 0",
        "-5 100000\\n",
        "184467440737095516160 1\\n",
        "\\0377\\0376",
    ] {
        let count = quota(bad);
        assert!((1..=all).contains(&count), "{bad:?}: {count} of {all}");
    }
}

fn quotas_of_version_1_count_and_bad_ones_do_not() {
    let quota = |quota: &'static str, period: &'static str| {
        found("1:cpu:/x\\n", &[("cpu/x/cpu.cfs_quota_us", quota), ("cpu/x/cpu.cfs_period_us", period)])
    };
    let all = quota("-1\\n", "100000\\n");
    assert!(all >= 1);
    for (bad, period) in
        [("", ""), ("many\\n", "100000\\n"), ("100000\\n", "0\\n"), ("0\\n", "0\\n"), ("100000\\n", "-1\\n")]
    {
        let count = quota(bad, period);
        assert!((1..=all).contains(&count), "{bad:?} {period:?}: {count} of {all}");
    }
    for groups in ["", "nonsense", ":::", "1:cpu", "0::", "1:cpu:/../../x\\n", "\\0377\\n"] {
        assert!(found(groups, &[]) >= 1, "{groups:?}");
    }
}
