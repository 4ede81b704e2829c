//! What a stuck process is doing, as far as `/proc` tells.

use std::fs;

/// Describes a process and its threads.
#[must_use]
pub fn dump(pid: u32) -> String {
    let read = |path: String| fs::read_to_string(path).unwrap_or_default().replace('\0', " ").trim().to_owned();
    let mut text = format!("process {pid}: {}\n", read(format!("/proc/{pid}/cmdline")));
    let status = read(format!("/proc/{pid}/status"));
    let telling = ["State", "PPid", "Threads", "VmRSS", "SigPnd", "ShdPnd", "SigBlk", "SigCgt"];
    for line in status.lines().filter(|line| telling.iter().any(|name| line.starts_with(name))) {
        text += &format!("    {line}\n");
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return text };
    for thread in threads.flatten() {
        let path = thread.path().display().to_string();
        let [name, waits, call, stack] =
            ["comm", "wchan", "syscall", "stack"].map(|file| read(format!("{path}/{file}")));
        text += &format!("    thread {name}: waits in {waits:?}, system call {call}\n");
        stack.lines().for_each(|line| text += &format!("        {line}\n"));
    }
    text
}
