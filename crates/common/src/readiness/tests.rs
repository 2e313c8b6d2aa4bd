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

fn told(limit: &str, status: &Value) -> Option<String> {
    trouble(&pod(limit, &container(status)), &PROGRAMS)
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
        all_of(told("64Mi", &status), &["OOMKilled", "64Mi", "raise spec.provider.kubo.resources.limits.memory"]);
    }
    let well = json!({"state": {"running": {}}, "lastState": ended, "started": true, "ready": true});
    assert_eq!(told("64Mi", &well), None);
}

#[test]
fn too_small_a_limit_is_named_where_nothing_is_killed() {
    let parts = ["24Mi", "128Mi", "raise spec.provider.kubo.resources.limits.memory"];
    for started in [true, false] {
        all_of(told("24Mi", &json!({"state": {"running": {}}, "started": started})), &parts);
    }
    assert_eq!(told("256Mi", &json!({"state": {"running": {}}, "started": false})), None);
    let slow = told("256Mi", &json!({"state": {"running": {}}, "started": true}));
    assert!(!all_of(slow, &["readiness probe", "kubectl -n a describe pod x-0"]).contains("memory"));
}

#[test]
fn a_pull_has_the_registrys_answer_and_no_log() {
    let answer = "failed to pull and unpack image \"r/x:1\": pull access denied, authorization failed";
    let tries = json!({"state": {"waiting": {"reason": "ErrImagePull", "message": answer}}});
    let message = format!("Back-off pulling image \"kubo:1\": ErrImagePull: {answer}");
    let waits = json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}});
    let first = all_of(told("1Gi", &tries), &["kubo:1", answer, "imagePullSecrets of ServiceAccount/default"]);
    assert!(!first.contains("logs"), "{first}");
    assert_eq!(told("1Gi", &waits), Some(first));
    let absent = json!({"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}});
    all_of(told("1Gi", &absent), &["not found", "correct the image"]);
}

#[test]
fn one_that_never_ran_has_no_log() {
    let message = "secret \"login\" not found";
    let status = json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}});
    let text = all_of(told("1Gi", &status), &[message, "kubectl -n a describe pod x-0"]);
    assert!(!text.contains("logs"), "{text}");
}

#[test]
fn a_crash_reads_the_same_in_all_of_its_states() {
    let log = "2026-11-29 05:00:00 UTC [1] FATAL:  could not map memory\n2026 HINT:  raise it\nLOG:  shut down\n";
    let ended = json!({"terminated": {"exitCode": 1, "message": log}});
    let crash = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let parts = ["exit code 1", "\"FATAL: could not map memory HINT: raise it\"", "kubectl -n a logs x-0 -c kubo"];
    let waits = all_of(told("1Gi", &json!({"state": crash, "lastState": ended})), &parts);
    assert!(!waits.contains("2026"), "{waits}");
    assert_eq!(told("1Gi", &json!({"state": {"running": {}}, "lastState": ended})), Some(waits));
    all_of(told("1Gi", &json!({"state": ended})), &parts);
}

#[test]
fn a_volume_of_another_owner_names_the_owner_it_needs() {
    let log = "mkdir: cannot create directory '/data/ipfs': Permission denied\n";
    let ended = json!({"terminated": {"exitCode": 1, "message": log}});
    let init = json!({"initContainerStatuses": [{
        "name": "prepare", "image": "", "imageID": "", "ready": false, "restartCount": 1, "state": ended,
    }]});
    let told = trouble(&pod("1Gi", &init), &PROGRAMS);
    all_of(told, &["container prepare", "Permission denied", "user 999 and group 1000", "chown -R 999:1000"]);
}

#[test]
fn an_init_container_that_succeeded_late_is_no_trouble() {
    let failed = json!({"terminated": {"exitCode": 1, "message": "no"}});
    let done = json!({"terminated": {"exitCode": 0}});
    let init = json!({"initContainerStatuses": [{
        "name": "prepare", "image": "", "imageID": "", "ready": true, "restartCount": 1, "state": done, "lastState": failed,
    }]});
    assert_eq!(trouble(&pod("1Gi", &init), &PROGRAMS), None);
}

#[test]
fn last_words_are_short_and_without_a_time() {
    assert_eq!(pod::last_words("starting\n\nthe file is bad:\n  line 3\n").unwrap(), "the file is bad: line 3");
    assert_eq!(pod::last_words("12:00 ERROR bad\nbye\n").unwrap(), "ERROR bad");
    let setting = "now LOG:  no such setting\nnow FATAL:  file \"c\" contains errors\n";
    assert_eq!(pod::last_words(setting).unwrap(), "LOG: no such setting FATAL: file \"c\" contains errors");
    assert_eq!(pod::last_words("\n"), None);
    assert!(pod::last_words(&"ü".repeat(1000)).unwrap().chars().count() < 410);
}

#[test]
fn a_deployment_lacks_something_while_an_old_pod_serves() {
    let status = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1});
    let mut rolling: Deployment =
        serde_json::from_value(json!({"metadata": {"generation": 2}, "status": status})).unwrap();
    assert!(deployed(&rolling).unwrap().contains("1 pod of its former template"));
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
fn a_quota_names_resource_containers_and_field() {
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
fn a_limit_range_names_the_container_and_field() {
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
    refused("pods \"x-0\" is forbidden: maximum memory usage per Pod is 1, but limit is 2", &["keep within it"]);
}

#[test]
fn policies_are_told_in_their_own_words() {
    for (words, part) in [
        ("violates PodSecurity \"restricted:latest\": runAsNonRoot != true", "pod-security.kubernetes.io/enforce"),
        ("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: needs a label", "meet that policy"),
        ("error looking up service account a/x: serviceaccount \"x\" not found", "restore the ServiceAccount"),
    ] {
        refused(&format!("pods \"x-7d9-abcde\" is forbidden: {words}"), &[words, part]);
    }
    refused("admission webhook \"w\" denied the request: no", &["admission webhook \"w\" denied", "meet that policy"]);
    refused("Internal error occurred: failed calling webhook \"w\": refused", &["failed calling", "webhook back"]);
}

#[test]
fn the_random_name_of_a_pod_is_not_told() {
    let words = |name: &str| format!("Error creating: pods \"{name}\" is forbidden: because");
    let told = |name| refusal::of_pod(&words(name), None, "a", &[]);
    assert_eq!(told("x-7d9-abcde"), told("x-7d9-fghij"));
}
