//! What every stage needs while it runs: workers, progress, the stop button, the machine's limits.

pub mod in_order;
pub mod interrupt;
pub mod machine;
pub mod progress;
pub mod workers;
