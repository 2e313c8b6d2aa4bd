//! Times, printed.

use std::time::Instant;

/// Says how long the steps of a test take.
pub struct Stopwatch {
    at: Instant,
}

impl Stopwatch {
    /// Starts.
    #[expect(clippy::new_without_default, reason = "a time is no default")]
    pub fn new() -> Self {
        Self { at: Instant::now() }
    }

    /// Says how long it took since the last step.
    pub fn step(&mut self, what: &str) {
        println!("{what}: {:.1} s", self.at.elapsed().as_secs_f64());
        self.at = Instant::now();
    }
}
