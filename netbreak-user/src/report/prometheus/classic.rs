//! The text format of Prometheus before OpenMetrics (version 0.0.4), which every reader understands.

/// OpenMetrics text as that: a counter is called in comments as its samples are, and there are neither units nor an end.
pub fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut counters = Vec::new();
    // The type stands below the help, whose name depends on it.
    for line in open_metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        counters.extend(line.strip_suffix(" counter"));
    }
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest))
                if counters.contains(&name) =>
            {
                text.push_str(&format!("# {what} {name}_total {rest}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_differ() {
        let open = "# HELP a_seconds What a is.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                    a_seconds_total{x=\"# TYPE a_seconds counter\"} 1.5\n# HELP b b.\n# TYPE b gauge\nb 2\n# EOF\n";
        let expected = "# HELP a_seconds_total What a is.\n# TYPE a_seconds_total counter\n\
                        a_seconds_total{x=\"# TYPE a_seconds counter\"} 1.5\n# HELP b b.\n# TYPE b gauge\nb 2\n";
        assert_eq!(classic(open), expected);
    }
}
