use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;

const FIELD: &str = "spec.provider.kubo.resources";
const PROGRAMS: [Program; 1] = [Program::new("kubo", FIELD, "128Mi")];

fn pod(limit: &str, status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "x-0", "namespace": "a"},
        "spec": {
            "securityContext": {"runAsUser": 999, "fsGroup": 1000},
            "initContainers": [{"name": "prepare", "image": "kubo:1", "resources": {"limits": {"memory": limit}}}],
            "containers": [{
                "name": "kubo", "image": "kubo:1", "resources": {"limits": {"memory": limit}},
                "readinessProbe": {"tcpSocket": {"port": 1}},
            }],
        },
        "status": status,
    }))
    .unwrap()
}

fn container(status: &Value) -> Value {
    let mut all = json!({"name": "kubo", "image": "kubo:1", "imageID": "", "ready": false, "restartCount": 0});
    for (key, value) in status.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({"containerStatuses": [all]})
}

fn cause(limit: &str, status: &Value) -> Option<String> {
    pod_problem(&pod(limit, &container(status)), &PROGRAMS)
}

fn all_of(told: Option<String>, parts: &[&str]) -> String {
    let told = told.unwrap_or_default();
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    told
}

#[test]
fn oom_killed_names_limit_and_field_in_every_state() {
    let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let crash = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}});
    for status in [
        json!({"state": ended}),
        json!({"state": crash, "lastState": ended}),
        json!({"state": {"running": {}}, "lastState": ended, "started": true}),
    ] {
        all_of(cause("64Mi", &status), &["OOMKilled", "64Mi", "raise spec.provider.kubo.resources.limits.memory"]);
    }
    let well = json!({"state": {"running": {}}, "lastState": ended, "started": true, "ready": true});
    assert_eq!(cause("64Mi", &well), None);
}

#[test]
fn too_small_limit_is_named_without_an_oom_kill() {
    let parts = ["24Mi", "128Mi", "raise spec.provider.kubo.resources.limits.memory"];
    for started in [true, false] {
        all_of(cause("24Mi", &json!({"state": {"running": {}}, "started": started})), &parts);
    }
    assert_eq!(cause("256Mi", &json!({"state": {"running": {}}, "started": false})), None);
    let slow = cause("256Mi", &json!({"state": {"running": {}}, "started": true}));
    assert!(!all_of(slow, &["readiness probe", "kubectl -n a describe pod x-0"]).contains("memory"));
}

/// The cause so many seconds after this container has begun to run.
fn cause_after(seconds: i64, container: &str, started: bool) -> Option<String> {
    let begun = Timestamp::from_second(1000).unwrap();
    let status = |name: &str, running: Value, started: bool| {
        json!({
            "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "started": started,
            "state": if name == container { running } else { json!({"waiting": {"reason": "PodInitializing"}}) },
        })
    };
    let running = json!({"running": {"startedAt": begun.to_string()}});
    let mut pod = pod(
        "1Gi",
        &json!({
            "initContainerStatuses": [status("prepare", running.clone(), started)],
            "containerStatuses": [status("kubo", running, started)],
        }),
    );
    let spec = pod.spec.as_mut().unwrap();
    spec.containers[0].startup_probe = spec.containers[0].readiness_probe.clone();
    pod::trouble_at(&pod, &PROGRAMS, begun + SignedDuration::from_secs(seconds))
}

#[test]
fn step_of_a_start_that_lasts_is_named_with_its_log() {
    for started in [true, false] {
        assert_eq!(cause_after(60, "prepare", started), None);
        let parts = ["Pod/x-0: container prepare", "more than a minute", "kubectl -n a logs x-0 -c prepare"];
        all_of(cause_after(61, "prepare", started), &parts);
    }
    assert_eq!(cause_after(60, "kubo", false), None);
    all_of(cause_after(61, "kubo", false), &["container kubo", "startup probe", "kubectl -n a logs x-0 -c kubo"]);
    all_of(cause_after(61, "kubo", true), &["container kubo", "readiness probe"]);
}

#[test]
fn failed_pull_has_the_registrys_answer_and_no_log() {
    let answer = "failed to pull and unpack image \"r/x:1\": pull access denied, authorization failed";
    let tries = json!({"state": {"waiting": {"reason": "ErrImagePull", "message": answer}}});
    let message = format!("Back-off pulling image \"kubo:1\": ErrImagePull: {answer}");
    let waits = json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}});
    let first = all_of(cause("1Gi", &tries), &["kubo:1", answer, "spec.pods.imagePullSecrets"]);
    assert!(!first.contains("logs"), "{first}");
    assert_eq!(cause("1Gi", &waits), Some(first));
    let absent = json!({"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}});
    all_of(cause("1Gi", &absent), &["not found", "correct the image"]);
}

#[test]
fn container_that_never_ran_has_no_log() {
    let message = "secret \"login\" not found";
    let status = json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}});
    let text = all_of(cause("1Gi", &status), &[message, "kubectl -n a describe pod x-0"]);
    assert!(!text.contains("logs"), "{text}");
}

#[test]
fn crash_message_is_the_same_in_all_states() {
    let log = "2026-11-29 05:00:00 UTC [1] FATAL:  could not map memory\n2026 HINT:  raise it\nLOG:  shut down\n";
    let ended = json!({"terminated": {"exitCode": 1, "message": log}});
    let crash = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let parts = ["exit code 1", "\"FATAL: could not map memory HINT: raise it\"", "kubectl -n a logs x-0 -c kubo"];
    let waits = all_of(cause("1Gi", &json!({"state": crash, "lastState": ended})), &parts);
    assert!(!waits.contains("2026"), "{waits}");
    assert_eq!(cause("1Gi", &json!({"state": {"running": {}}, "lastState": ended})), Some(waits));
    all_of(cause("1Gi", &json!({"state": ended})), &parts);
}

#[test]
fn volume_of_a_wrong_owner_names_the_right_one() {
    let log = "mkdir: cannot create directory '/data/ipfs': Permission denied\n";
    let ended = json!({"terminated": {"exitCode": 1, "message": log}});
    let init = json!({"initContainerStatuses": [{
        "name": "prepare", "image": "", "imageID": "", "ready": false, "restartCount": 1, "state": ended,
    }]});
    let problem = pod_problem(&pod("1Gi", &init), &PROGRAMS);
    all_of(problem, &["container prepare", "Permission denied", "user 999 and group 1000", "chown -R 999:1000"]);
}

#[test]
fn init_container_that_succeeded_late_is_no_trouble() {
    let failed = json!({"terminated": {"exitCode": 1, "message": "no"}});
    let done = json!({"terminated": {"exitCode": 0}});
    let init = json!({"initContainerStatuses": [{
        "name": "prepare", "image": "", "imageID": "", "ready": true, "restartCount": 1, "state": done, "lastState": failed,
    }]});
    assert_eq!(pod_problem(&pod("1Gi", &init), &PROGRAMS), None);
}

#[test]
fn last_log_lines_are_short_and_without_a_time() {
    assert_eq!(pod::last_words("starting\n\nthe file is bad:\n  line 3\n").unwrap(), "the file is bad: line 3");
    assert_eq!(pod::last_words("12:00 ERROR bad\nbye\n").unwrap(), "ERROR bad");
    let setting = "now LOG:  no such setting\nnow FATAL:  file \"c\" contains errors\n";
    assert_eq!(pod::last_words(setting).unwrap(), "LOG: no such setting FATAL: file \"c\" contains errors");
    assert_eq!(pod::last_words("\n"), None);
    assert!(pod::last_words(&"ü".repeat(1000)).unwrap().chars().count() < 410);
}

#[test]
fn deployment_is_not_ready_while_an_old_pod_serves() {
    let status = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1});
    let mut rolling: Deployment =
        serde_json::from_value(json!({"metadata": {"generation": 2}, "status": status})).unwrap();
    assert!(deployed(&rolling).unwrap().contains("1 pod of the previous template"));
    rolling.status.as_mut().unwrap().replicas = Some(1);
    assert_eq!(deployed(&rolling), None);
}

fn template() -> PodTemplateSpec {
    let resources = |memory: &str| json!({"requests": {"memory": memory, "cpu": "5m"}});
    serde_json::from_value(json!({"spec": {
        "initContainers": [{"name": "wait", "resources": resources("8Mi")}],
        "containers": [{"name": "kubo", "resources": resources("32Mi")}, {"name": "other"}],
    }}))
    .unwrap()
}

/// The words, and what the message must have.
fn refused(words: &str, parts: &[&str]) {
    let told = refusal::of_pod(words, Some(&template()), "a", &PROGRAMS);
    all_of(Some(told), parts);
}

#[test]
fn quota_names_resource_containers_and_field() {
    refused(
        "create Pod x-0 in StatefulSet x failed error: pods \"x-0\" is forbidden: failed quota: team: must specify limits.cpu for: kubo,wait; limits.memory for: kubo",
        &[
            "must specify limits.cpu for: kubo,wait",
            "set spec.provider.kubo.resources.limits.cpu, spec.provider.kubo.resources.limits.memory",
        ],
    );
    refused("failed quota: team: must specify limits.cpu for: wait", &["LimitRange with defaults for container wait"]);
    refused(
        "pods \"x-0\" is forbidden: exceeded quota: team, requested: limits.memory=1Gi,requests.memory=2Gi, used: limits.memory=3Gi, limited: limits.memory=4Gi",
        &["exceeded quota: team", "raise ResourceQuota/team", "lower spec.provider.kubo.resources"],
    );
}

#[test]
fn limit_range_names_the_container_and_field() {
    refused(
        "Error creating: pods \"x-7d9-abcde\" is forbidden: [minimum memory usage per Container is 48Mi, but request is 8Mi, minimum memory usage per Container is 48Mi, but request is 32Mi]",
        &[
            "minimum memory usage per Container is 48Mi",
            "LimitRange (kubectl -n a describe limitrange)",
            "set spec.provider.kubo.resources.requests.memory",
            "container wait",
        ],
    );
    refused(
        "pods \"x-0\" is forbidden: maximum memory usage per Container is 1Gi.  No limit is specified",
        &["set spec.provider.kubo.resources.limits.memory", "container other, wait"],
    );
    refused("pods \"x-0\" is forbidden: maximum memory usage per Pod is 1, but limit is 2", &["stay within the range"]);
}

#[test]
fn refusals_of_policies_are_quoted() {
    for (words, part) in [
        ("violates PodSecurity \"restricted:latest\": runAsNonRoot != true", "pod-security.kubernetes.io/enforce"),
        ("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: needs a label", "comply with that policy"),
        ("error looking up service account a/x: serviceaccount \"x\" not found", "restore the ServiceAccount"),
        (
            "User \"system:serviceaccount:a:b\" cannot create resource \"serviceaccounts\" in API group \"\"",
            "grant that permission",
        ),
    ] {
        refused(&format!("pods \"x-7d9-abcde\" is forbidden: {words}"), &[words, part]);
    }
    refused(
        "admission webhook \"w\" denied the request: no",
        &["admission webhook \"w\" denied", "comply with that policy"],
    );
    refused(
        "Internal error occurred: failed calling webhook \"w\": refused",
        &["failed calling", "restore that webhook"],
    );
}

#[test]
fn random_name_of_a_pod_is_left_out() {
    let words = |name: &str| format!("Error creating: pods \"{name}\" is forbidden: because");
    let told = |name| refusal::of_pod(&words(name), None, "a", &[]);
    assert_eq!(told("x-7d9-abcde"), told("x-7d9-fghij"));
}
