//! Why a pod is not ready: because of scheduler, kubelet, container runtime, or its program.

use std::cmp::Ordering;

use k8s_openapi::{
    api::core::v1::{Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod},
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::{Program, field, refusal::LONGEST};
use crate::{
    manifest::compare_quantities,
    message::{kubectl, logs, previous_logs, shortened},
};

/// Waiting reasons of a normal start.
const STARTING: [&str; 2] = ["PodInitializing", "ContainerCreating"];
/// Waiting reasons of a missing image.
const NO_IMAGE: [&str; 8] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ErrImageInspect",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// Words in a registry's answer to an unknown login.
const NO_LOGIN: [&str; 5] = ["unauthorized", "denied", "authenticat", "authoriz", "forbidden"];
/// Words that begin the last line of a failing program.
const SEVERE: [&str; 7] = ["FATAL", "PANIC", "fatal error", "panic:", "ERROR", "Error:", "error:"];
/// The exit code of a program that was killed.
const KILLED: i32 = 137;
/// How long a step of a start may take before it counts as a cause, in seconds: the log has what it waits for.
const USUAL_STEP: i64 = 60;

/// Why a pod is not ready, with the remedy.
pub(crate) fn pod_problem(pod: &Pod, programs: &[Program]) -> Option<String> {
    trouble_at(pod, programs, Timestamp::now())
}

/// The same at a given time.
pub(super) fn trouble_at(pod: &Pod, programs: &[Program], now: Timestamp) -> Option<String> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    if status.reason.as_deref() == Some("Evicted") {
        let words = shortened(status.message.as_deref().unwrap_or_default(), LONGEST);
        return Some(format!("Pod/{name} was evicted: {words}"));
    }
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .and_then(|condition| condition.message.clone());
    if let Some(message) = unscheduled {
        let remedy = if message.contains("volume node affinity conflict") {
            "; its volume can be used only on some nodes or in one zone: make room there"
        } else {
            ""
        };
        return Some(format!("Pod/{name} cannot be scheduled: {}{remedy}", shortened(&message, LONGEST)));
    }
    let init = status.init_container_statuses.iter().flatten();
    let all = init.chain(status.container_statuses.iter().flatten()).map(|status| ContainerReport {
        pod,
        status,
        programs,
        now,
    });
    let all: Vec<ContainerReport<'_>> = all.collect();
    let unready =
        || all.iter().find_map(ContainerReport::unready).or_else(|| all.iter().find_map(ContainerReport::unfinished));
    all.iter().find_map(ContainerReport::failed).or_else(unready)
}

/// A container, as the kubelet sees it.
struct ContainerReport<'a> {
    pod: &'a Pod,
    status: &'a ContainerStatus,
    programs: &'a [Program],
    now: Timestamp,
}

impl ContainerReport<'_> {
    /// Why it does not run, or ran and failed and is not ready again.
    fn failed(&self) -> Option<String> {
        let state = self.status.state.as_ref()?;
        if let Some(waiting) = &state.waiting {
            let reason = waiting.reason.as_deref().unwrap_or("Waiting");
            let words = waiting.message.as_deref().unwrap_or_default();
            if NO_IMAGE.contains(&reason) {
                return Some(self.no_image(reason, words));
            }
            if STARTING.contains(&reason) {
                return None;
            }
            return Some(match self.last_end() {
                Some(ended) if reason == "CrashLoopBackOff" => self.ended(ended),
                _ => self.not_started(reason, words),
            });
        }
        let is_init = self.pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
        let is_init = is_init.into_iter().any(|container| container.name == self.status.name);
        match (&state.terminated, self.last_end()) {
            // It has ended, and the kubelet has not decided yet to wait before the next start.
            (Some(ended), _) if has_failed(ended) => Some(self.ended(ended)),
            (None, Some(ended)) if has_failed(ended) && !is_init && !self.status.ready => Some(self.ended(ended)),
            _ => None,
        }
    }

    /// It runs, but is not ready.
    fn unready(&self) -> Option<String> {
        let runs = self.status.state.as_ref().is_some_and(|state| state.running.is_some());
        if !runs || self.status.ready || self.runs_to_its_end() {
            return None;
        }
        let scarce = self.scarce();
        if self.status.started != Some(true) && scarce.is_none() {
            return None;
        }
        let is_probed = self.spec().is_some_and(|spec| spec.readiness_probe.is_some() || spec.startup_probe.is_some());
        if self.status.started != Some(true) && !is_probed {
            return None;
        }
        let describe = kubectl(&self.namespace(), &format!("describe pod {}", self.pod.name_any()));
        let remedy = scarce.unwrap_or_else(|| format!("see {describe}"));
        Some(format!("{} is running but fails its readiness probe; {remedy}", self.subject()))
    }

    /// It runs, and the pod has been waiting for its end or its startup probe for long.
    fn unfinished(&self) -> Option<String> {
        let since = self.status.state.as_ref()?.running.as_ref()?.started_at.as_ref()?;
        if self.status.ready || self.now.duration_since(since.0).as_secs() <= USUAL_STEP {
            return None;
        }
        let has_startup_probe = self.spec().is_some_and(|spec| spec.startup_probe.is_some());
        let step = if self.runs_to_its_end() {
            "has not ended"
        } else if has_startup_probe && self.status.started != Some(true) {
            "has not passed its startup probe"
        } else {
            return None;
        };
        let logs = logs(&self.namespace(), &self.pod.name_any(), &self.status.name);
        Some(format!("{} has been running for more than a minute and {step}; see {logs}", self.subject()))
    }

    /// Whether the pod waits for its end: an init container that is no sidecar.
    fn runs_to_its_end(&self) -> bool {
        let mut init = self.pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        init.any(|init| init.name == self.status.name && init.restart_policy.as_deref() != Some("Always"))
    }

    fn no_image(&self, reason: &str, words: &str) -> String {
        let image = &self.status.image;
        let image = Some(image).filter(|image| !image.is_empty()).or_else(|| self.spec()?.image.as_ref());
        let image = shortened(image.map_or("its image", String::as_str), 200);
        // The kubelet reports the same in two forms, while it tries and while it waits.
        let waits = "Back-off pulling image \"";
        let answer =
            words.strip_prefix(waits).map_or(words, |rest| rest.split_once("\": ").map_or("", |(_, rest)| rest));
        let answer = answer.trim_start_matches("ErrImagePull: ");
        let answer = if answer.is_empty() { reason.to_owned() } else { shortened(answer, LONGEST) };
        let remedy = if NO_LOGIN.iter().any(|said| answer.to_ascii_lowercase().contains(said)) {
            "add a Secret with the registry's login to spec.pods.imagePullSecrets".to_owned()
        } else {
            "correct the image, or give the nodes access to its registry".to_owned()
        };
        format!("{} cannot pull {image}: {answer}; {remedy}", self.subject())
    }

    /// It never ran, so there is no log.
    fn not_started(&self, reason: &str, words: &str) -> String {
        let words = if words.is_empty() { reason.to_owned() } else { shortened(words, LONGEST) };
        let describe = kubectl(&self.namespace(), &format!("describe pod {}", self.pod.name_any()));
        format!("{} cannot be started: {words}; see {describe}", self.subject())
    }

    /// It ended. The text is the same while it waits for its next start and while it runs again.
    fn ended(&self, ended: &ContainerStateTerminated) -> String {
        let (subject, name) = (self.subject(), &self.status.name);
        if matches!(ended.reason.as_deref(), Some("StartError" | "ContainerCannotRun")) {
            return self.not_started("StartError", ended.message.as_deref().unwrap_or_default());
        }
        if ended.reason.as_deref() == Some("OOMKilled") {
            let limit = self.limit().map(|limit| format!(" at its memory limit {limit}")).unwrap_or_default();
            return format!("{subject} was OOMKilled{limit}; {}", self.raise());
        }
        let words = ended.message.as_deref().and_then(last_words);
        let cause = words.as_ref().map(|words| format!(": \"{words}\"")).unwrap_or_default();
        let is_denied = words.as_ref().is_some_and(|words| words.to_ascii_lowercase().contains("permission denied"));
        let runs_again = self.status.state.as_ref().is_some_and(|state| state.terminated.is_none());
        let see = if runs_again { previous_logs } else { logs };
        let see = see(&self.namespace(), &self.pod.name_any(), name);
        let remedy = match (is_denied.then(|| self.owner()).flatten(), self.scarce()) {
            (Some(owner), _) => format!("change the owner of the volume to {owner}, or see {see}"),
            (None, Some(scarce)) => format!("{scarce}, or see {see}"),
            (None, None) if ended.exit_code == KILLED => match self.limit() {
                Some(limit) => format!("if memory is short, {} (now {limit}); otherwise see {see}", self.raise()),
                None => format!("see {see}"),
            },
            (None, None) => format!("see {see}"),
        };
        format!("{subject} ended with exit code {}{cause}; {remedy}", ended.exit_code)
    }

    fn subject(&self) -> String {
        format!("Pod/{}: container {}", self.pod.name_any(), self.status.name)
    }

    fn namespace(&self) -> String {
        self.pod.namespace().unwrap_or_default()
    }

    fn last_end(&self) -> Option<&ContainerStateTerminated> {
        let ended = |state: &ContainerState| state.terminated.is_some();
        self.status.last_state.as_ref().filter(|state| ended(state))?.terminated.as_ref()
    }

    fn spec(&self) -> Option<&Container> {
        let spec = self.pod.spec.as_ref()?;
        let mut all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        all.find(|container| container.name == self.status.name)
    }

    /// Its memory limit.
    fn limit(&self) -> Option<&str> {
        let limits = self.spec()?.resources.as_ref()?.limits.as_ref()?;
        limits.get("memory").map(|limit| limit.0.as_str())
    }

    /// The remedy for more memory.
    fn raise(&self) -> String {
        match field(self.programs, &self.status.name) {
            Some(field) => format!("raise {field}.limits.memory"),
            None => "no field of the spec raises it; report this as a bug".to_owned(),
        }
    }

    /// The message if its memory limit is below the minimum, with the remedy.
    fn scarce(&self) -> Option<String> {
        let program = self.programs.iter().find(|program| program.container == self.status.name)?;
        let (limit, minimum) = (self.limit()?, program.minimum?);
        let is_scarce = compare_quantities(limit, minimum) == Some(Ordering::Less);
        is_scarce.then(|| format!("its memory limit {limit} is below the required minimum {minimum}: {}", self.raise()))
    }

    /// The required owner of its files.
    fn owner(&self) -> Option<String> {
        let security = self.pod.spec.as_ref()?.security_context.as_ref()?;
        let user = security.run_as_user?;
        let group = security.fs_group.or(security.run_as_group).unwrap_or(user);
        Some(format!("user {user} and group {group} (chown -R {user}:{group})"))
    }
}

fn has_failed(ended: &ContainerStateTerminated) -> bool {
    ended.exit_code != 0 || ended.reason.as_deref() == Some("OOMKilled")
}

/// The end of what a container wrote before it failed, where its termination message is its log: from the last line that names a
/// severity, without its prefix, such as the time; else the last two lines.
pub(super) fn last_words(message: &str) -> Option<String> {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let severe = |line: &&str| SEVERE.iter().filter_map(|severity| line.find(severity)).min();
    let found = lines.iter().enumerate().rev().find_map(|(index, line)| Some((index, severe(line)?)));
    let text = match found {
        Some((index, at)) => {
            // PostgreSQL names the wrong setting in the previous line.
            let before = index.checked_sub(1).filter(|_| lines[index].contains("contains errors"));
            let before = before.and_then(|before| Some(&lines[before][lines[before].find("LOG:")?..]));
            let hint = lines.get(index + 1).and_then(|next| Some(&next[next.find("HINT:")?..]));
            before.into_iter().chain([&lines[index][at..]]).chain(hint).collect::<Vec<_>>().join(" ")
        }
        None => lines[lines.len().saturating_sub(2)..].join(" "),
    };
    Some(shortened(&text, LONGEST)).filter(|text| !text.is_empty())
}
