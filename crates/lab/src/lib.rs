//! Simulators of the machines that Capstead's providers talk to, with seeded faults.

pub mod flintlock;
