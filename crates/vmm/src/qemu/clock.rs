//! The host's time-stamp counter, which is a TCG guest's too.

/// Frequency of the time-stamp counter in kHz, measured once within 0.1 s. `None` where there is none.
#[must_use]
pub fn tsc_khz() -> Option<u32> {
    static ONCE: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    *ONCE.get_or_init(measure)
}

#[cfg(not(target_arch = "x86_64"))]
fn measure() -> Option<u32> {
    None
}

#[cfg(target_arch = "x86_64")]
fn measure() -> Option<u32> {
    use std::time::Duration;
    let start = sample();
    std::thread::sleep(Duration::from_millis(100));
    let end = sample();
    khz(end.1.checked_sub(start.1)?, end.0.duration_since(start.0))
}

/// The time and the counter at that time: of several tries the one that was interrupted least.
#[cfg(target_arch = "x86_64")]
fn sample() -> (std::time::Instant, u64) {
    use crate::sys::time_stamp;
    use std::time::Instant;
    let tries = (0..16).map(|_| {
        let before = time_stamp();
        let now = Instant::now();
        let after = time_stamp();
        (after.saturating_sub(before), now, before + after.saturating_sub(before) / 2)
    });
    tries.min_by_key(|(gap, ..)| *gap).map_or_else(|| (Instant::now(), 0), |(_, now, counter)| (now, counter))
}

/// Ticks of a span as kHz.
#[cfg(target_arch = "x86_64")]
fn khz(ticks: u64, span: std::time::Duration) -> Option<u32> {
    let khz = u128::from(ticks).checked_mul(1_000_000)?.checked_div(span.as_nanos())?;
    u32::try_from(khz).ok().filter(|khz| *khz > 100_000)
}
