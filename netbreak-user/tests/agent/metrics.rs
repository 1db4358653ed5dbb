//! What was scraped.

/// Text, in the older format.
pub struct Metrics(pub String);

impl Metrics {
    /// The sum of a metric's series whose labels hold all of `words`.
    pub fn sum(&self, metric: &str, words: &[&str]) -> f64 {
        let value = |line: &str| -> Option<f64> {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{')?;
            let is_it = name == metric && words.iter().all(|word| labels.contains(word));
            is_it.then(|| value.parse().unwrap())
        };
        self.0.lines().filter_map(value).sum()
    }
}
