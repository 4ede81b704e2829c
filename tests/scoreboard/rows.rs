//! The sixteen faults, in the words of those who published them, and how each has to end here.

/// What is run for a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scene {
    /// A row of the fault matrix.
    Fault(&'static str),
    /// One that ends by itself in nothing: it is reported, and cancelled.
    Unanswered(&'static str),
    InitializerFails,
    InitializerExits,
    CallbackPanics,
    ParentKilled,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) scene: Scene,
    /// How many tasks have a value, and how many which error.
    pub(crate) ok: usize,
    pub(crate) errors: (usize, &'static str),
}

const fn fault(name: &'static str, label: &'static str, fault: &'static str, error: &'static str) -> Row {
    Row { name, label, scene: Scene::Fault(fault), ok: 19, errors: (1, error) }
}

const fn odd(name: &'static str, label: &'static str, scene: Scene, ok: usize, errors: (usize, &'static str)) -> Row {
    Row { name, label, scene, ok, errors }
}

pub(crate) const ROWS: &[Row] = &[
    fault("sigkill", "SIGKILL self", "sigkill", "killed 9"),
    fault("sigsegv", "SIGSEGV", "sigsegv", "killed 11"),
    fault("_exit-0", "_exit(0) mid-task", "_exit-0", "exited 0"),
    fault("exit", "exit with handlers (sys.exit)", "exit-3", "exited 3"),
    fault("garbage", "garbage into its pipes", "garbage-ones", "protocol-violation"),
    fault("closes-fds", "closes its descriptors", "closes-everything", "protocol-violation"),
    fault("grandchild", "dies, grandchild holds its pipe", "grandchild-holds-the-link", "killed 9"),
    fault("not-serializable", "result cannot be serialized", "result-not-serializable", "not-serializable"),
    fault("not-decodable", "result cannot be decoded", "result-cannot-be-decoded", "not-deserializable"),
    fault("error-not-decodable", "error cannot be decoded", "returns-err", "failed"),
    odd("stopped", "SIGSTOP self, no timeout", Scene::Unanswered("stopped-and-killed"), 19, (1, "cancelled")),
    odd("sleeps", "sleeps for ever, no timeout", Scene::Unanswered("sleeps-and-killed"), 19, (1, "cancelled")),
    odd("initializer-fails", "initializer fails", Scene::InitializerFails, 0, (20, "pool-broken")),
    odd("initializer-exits", "initializer exits", Scene::InitializerExits, 0, (20, "pool-broken")),
    odd("callback-panics", "callback panics", Scene::CallbackPanics, 20, (0, "")),
    odd("parent-killed", "parent killed during tasks", Scene::ParentKilled, 0, (0, "")),
];
