//! The score: every fault of the lab, alone and with others, throughout a run and for a while. Each lost attempt must be
//! a death at the fault's place, of its cause, and there must be as many as the kernel counted. Where this kernel hides
//! some from all programs, no more are missing than a witness saw, and each of them is an attempt without an explanation.

mod case;
mod cases;
mod foreign;
mod judge;
mod seen;
mod table;

pub use case::{Case, Pace};
pub use cases::all;

use std::sync::Mutex;

use judge::Score;

/// Runs cases, in so many labs at a time, prints the table, and fails if a case does.
pub fn all_pass(cases: &[Case], workers: usize, pace: Pace) {
    let queue = Mutex::new(cases.iter().enumerate().rev().collect::<Vec<_>>());
    let scores: Mutex<Vec<(usize, Score)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some((index, case)) = queue.lock().unwrap().pop() else { return };
                    // What panics is no score; the others are worth having all the same.
                    let score = std::panic::catch_unwind(|| case.run(pace));
                    let score = score.unwrap_or_else(|panic| Score::failed(case, &*panic));
                    scores.lock().unwrap().push((index, score));
                }
            });
        }
    });
    let mut scores = scores.into_inner().unwrap();
    scores.sort_by_key(|(index, _)| *index);
    let scores: Vec<Score> = scores.into_iter().map(|(_, score)| score).collect();
    println!("\n{}", table::render(&scores));
    let failed: Vec<&Score> = scores.iter().filter(|score| !score.complaints.is_empty()).collect();
    // Behind the table, which is long: whoever keeps only the end of what a test prints has what matters.
    let complaints: String = failed.iter().map(|score| score.complaint()).collect();
    assert!(failed.is_empty(), "{} of {} cases failed\n{complaints}", failed.len(), scores.len());
}
