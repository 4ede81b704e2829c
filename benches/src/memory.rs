//! What the kernel says about the memory of a process.

use std::fs;

/// One line of `/proc/PID/status`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Resident,
    /// The largest resident size so far; it never falls.
    PeakResident,
}

/// The size in KiB; none when the process is gone, or a zombie without memory.
pub(crate) fn kib(pid: u32, size: Size) -> Option<u64> {
    let key = match size {
        Size::Resident => "VmRSS:",
        Size::PeakResident => "VmHWM:",
    };
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_process() {
        for size in [Size::Resident, Size::PeakResident] {
            assert!(kib(std::process::id(), size) > Some(0), "{size:?}");
        }
    }
}
