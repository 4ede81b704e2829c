//! `ganger tasks`.

use ganger::registry::TaskEntry;

/// Returns the list of tasks with signature and description: first those without a group, then group by group.
pub(super) fn list(tasks: &[&TaskEntry]) -> String {
    let mut groups: Vec<&str> = tasks.iter().map(|task| task.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let sections: Vec<String> = groups.iter().map(|group| section(group, tasks)).collect();
    sections.join("\n")
}

fn section(group: &str, tasks: &[&TaskEntry]) -> String {
    let heading = if group.is_empty() { String::new() } else { format!("{group}:\n\n") };
    let entries: Vec<String> = tasks.iter().filter(|task| task.group == group).map(|task| entry(task)).collect();
    format!("{heading}{}", entries.join("\n"))
}

fn entry(task: &TaskEntry) -> String {
    let doc: String = task.doc.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
    format!("{task}\n{doc}")
}
