//! Which scenario runs on which kernel.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::kernels::{self, KERNELS, Kernel};

/// Scenarios that `cargo xtask test` runs.
struct Planned {
    /// A test of netbreak-user/tests/vm, or a module of tests.
    scenarios: &'static str,
    /// The kernels that it runs on there.
    kernels: &'static [&'static str],
}

const EVERY: &[&str] = &["5.10", "6.1", "6.12", "6.18", "newest"];

/// All scenarios on all kernels would take too long: this may take six minutes on two cores. Every scenario is named here,
/// also those that run only when they are asked for; the rows of a scenario and of its module add up.
const PLAN: &[Planned] = &[
    Planned { scenarios: "boot", kernels: EVERY },
    // The oldest: what it lacks others have.
    Planned { scenarios: "sees", kernels: &["5.10"] },
    Planned { scenarios: "faults::conntrack_full", kernels: &["5.10"] },
    Planned { scenarios: "faults", kernels: &[] },
    Planned { scenarios: "ovs::no_handler", kernels: &["newest"] },
    Planned { scenarios: "ovs::ovn0_down", kernels: &["newest"] },
    // The slowest of them, where guests have little time.
    Planned { scenarios: "ovs::empty_tables", kernels: &[] },
    // Experiments of many minutes.
    Planned { scenarios: "ovn", kernels: &[] },
];

/// How long a guest may take unless it is said otherwise: none needs a quarter of it, but a machine may be busy.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// One boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The test's name.
    pub scenario: String,
}

/// The runs that the names of kernels and scenarios ask for: of those named, else of all. `scenarios` are those that
/// there are; a module's name stands for all of its tests.
///
/// # Errors
/// When a name is neither: with all there are.
pub fn named(names: &[String], scenarios: &[String]) -> Result<Vec<Run>> {
    let (mut on, mut of) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(kernel) = kernels::find(name) {
            on.push(kernel);
        } else if scenarios.iter().any(|scenario| is_of(scenario, name)) {
            of.push(name);
        } else {
            let kernels = KERNELS.map(|kernel| kernel.name).join(", ");
            bail!("`{name}` is no kernel ({kernels}) and no scenario ({})", scenarios.join(", "));
        }
    }
    let on = KERNELS.iter().filter(|kernel| on.is_empty() || on.contains(kernel));
    let is_wanted = |scenario: &&String| of.is_empty() || of.iter().any(|name| is_of(scenario, name));
    let of = scenarios.iter().filter(is_wanted);
    let run = |kernel, scenario: &String| Run { kernel, scenario: scenario.clone() };
    Ok(on.flat_map(|kernel| of.clone().map(move |scenario| run(kernel, scenario))).collect())
}

/// The runs of `cargo xtask test`.
///
/// # Errors
/// When the plan and the scenarios that there are do not fit each other.
pub fn planned(scenarios: &[String]) -> Result<Vec<Run>> {
    choose(PLAN, scenarios)
}

fn choose(plan: &[Planned], scenarios: &[String]) -> Result<Vec<Run>> {
    const HERE: &str = "xtask/src/vm/plan.rs";
    for Planned { scenarios: name, .. } in plan {
        ensure!(
            scenarios.iter().any(|scenario| is_of(scenario, name)),
            "{HERE} plans `{name}`, which no scenario is called"
        );
    }
    let mut runs = Vec::new();
    for scenario in scenarios {
        let rows: Vec<_> = plan.iter().filter(|row| is_of(scenario, row.scenarios)).collect();
        ensure!(!rows.is_empty(), "{HERE} does not say on which kernels `{scenario}` is to run");
        let on = KERNELS.iter().filter(|kernel| rows.iter().any(|row| row.kernels.contains(&kernel.name)));
        runs.extend(on.map(|kernel| Run { kernel, scenario: scenario.clone() }));
    }
    Ok(runs)
}

/// Whether `name` is the scenario or a module that has it.
fn is_of(scenario: &str, name: &str) -> bool {
    scenario.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn shown(runs: &[Run]) -> String {
        let runs = runs.iter().map(|run| format!("{}/{}", run.kernel.name, run.scenario));
        runs.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn kernels_and_scenarios_are_named_in_any_order() {
        let scenarios = words("boot::doctor ovs::flow ovs::upcall");
        let runs = |names| shown(&named(&words(names), &scenarios).unwrap());
        assert_eq!(runs("ovs::flow 6.1"), "6.1/ovs::flow");
        assert_eq!(
            runs("newest ovs 5.10"),
            "5.10/ovs::flow 5.10/ovs::upcall newest/ovs::flow newest/ovs::upcall"
        );
        assert_eq!(named(&[], &scenarios).unwrap().len(), 15);
        assert_eq!(named(&words("6.18"), &scenarios).unwrap().len(), 3);
    }

    #[test]
    fn other_names_are_refused_with_those_that_there_are() {
        let error = named(&words("6.13"), &words("boot::doctor")).unwrap_err().to_string();
        assert_eq!(
            error,
            "`6.13` is no kernel (5.10, 6.1, 6.12, 6.18, newest) and no scenario (boot::doctor)"
        );
        assert!(named(&words("boo"), &words("boot::doctor")).is_err());
    }

    #[test]
    fn the_plan_and_the_scenarios_fit() {
        const PLAN: [Planned; 2] = [
            Planned { scenarios: "boot", kernels: &["6.1", "newest"] },
            Planned { scenarios: "slow::one", kernels: &[] },
        ];
        let error = |scenarios| choose(&PLAN, &words(scenarios)).unwrap_err().to_string();
        assert_eq!(shown(&choose(&PLAN, &words("boot slow::one")).unwrap()), "6.1/boot newest/boot");
        assert!(error("boot slow::one slow::two").contains("`slow::two`"));
        assert!(error("boot").contains("`slow::one`"));
    }

    #[test]
    fn the_plan_names_kernels_that_there_are() {
        let unknown = PLAN.iter().flat_map(|row| row.kernels).find(|name| kernels::find(name).is_none());
        assert_eq!(unknown, None);
    }
}
