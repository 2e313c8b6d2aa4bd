//! What all pods of a workload have in common: their ServiceAccount, their metadata, and the settings of the user.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PodSpec, ServiceAccount, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use serde_json::{Value, json};

use super::pod::pod;
use crate::{
    api::{GROUP, PodSecurity, PodSettings, annotation, label},
    manifest::{Manifest, hash},
};

/// The longest value of a label, and the longest name in its key.
const LABEL: usize = 63;

/// The pods of a workload.
#[derive(Clone, Debug)]
pub struct Pods<'a> {
    /// The ServiceAccount that is theirs unless the user names one.
    account: String,
    /// The labels by which they are found.
    selector: BTreeMap<String, String>,
    settings: &'a PodSettings,
}

impl<'a> Pods<'a> {
    /// Pods with this ServiceAccount, which are found by these labels.
    pub fn new(account: String, selector: BTreeMap<String, String>, settings: &'a PodSettings) -> Self {
        Self { account, selector, settings }
    }

    /// Their ServiceAccount, which is applied before them; `None` if the user names an existing one. It has no permissions and no
    /// token: a mesh derives from it who a pod is, so pods with different peers need different ones.
    pub fn account(&self) -> Option<Manifest> {
        let is_ours = self.settings.service_account_name.is_none();
        is_ours.then(|| Manifest::new(&service_account(self.account.clone())))
    }

    /// A pod that runs as this user and group, unless the platform chooses them, and may take this long to end, without containers.
    pub fn spec(&self, user: i64, grace_seconds: i64) -> PodSpec {
        let settings = self.settings;
        let account = settings.service_account_name.as_ref().unwrap_or(&self.account);
        let mut pod = pod(user, grace_seconds);
        if self.has_any_user()
            && let Some(security) = &mut pod.security_context
        {
            (security.run_as_user, security.run_as_group, security.fs_group) = (None, None, None);
        }
        PodSpec {
            service_account_name: Some(account.clone()),
            image_pull_secrets: some(&settings.image_pull_secrets, Vec::is_empty),
            node_selector: some(&settings.node_selector, BTreeMap::is_empty),
            tolerations: some(&settings.tolerations, Vec::is_empty),
            affinity: settings.affinity.clone(),
            topology_spread_constraints: Some(self.spread()),
            priority_class_name: settings.priority_class_name.clone(),
            runtime_class_name: settings.runtime_class_name.clone(),
            ..pod
        }
    }

    /// Whether the platform chooses their user, which may have no name.
    pub fn has_any_user(&self) -> bool {
        self.settings.security_context == PodSecurity::Platform
    }

    /// The metadata of their template: a change of `wanted`, the settings of the workload, restarts them, and so do a change of the
    /// user's settings for pods and a new `restart` request.
    pub fn template_meta(
        &self,
        labels: BTreeMap<String, String>,
        mut annotations: BTreeMap<String, String>,
        wanted: &Value,
        restart: Option<&String>,
    ) -> ObjectMeta {
        // Without settings the hash is that of earlier versions, which had none.
        let hash = self.settings.restarting().map_or_else(|| hash(wanted), |pods| hash(&json!([wanted, pods])));
        annotations.insert(annotation::ROLL.to_owned(), hash);
        annotations.extend(restart.map(|restart| (annotation::RESTART.to_owned(), restart.clone())));
        self.meta(labels, annotations)
    }

    /// The metadata of pods that run once.
    pub fn meta(&self, labels: BTreeMap<String, String>, annotations: BTreeMap<String, String>) -> ObjectMeta {
        let with = |users: &BTreeMap<String, String>, ours| {
            let mut all = users.clone();
            all.extend(ours);
            some(&all, BTreeMap::is_empty)
        };
        ObjectMeta {
            labels: with(&self.settings.labels, labels),
            annotations: with(&self.settings.annotations, annotations),
            ..ObjectMeta::default()
        }
    }

    fn spread(&self) -> Vec<TopologySpreadConstraint> {
        let ours = || LabelSelector { match_labels: Some(self.selector.clone()), ..LabelSelector::default() };
        if self.settings.topology_spread_constraints.is_empty() {
            return vec![TopologySpreadConstraint {
                max_skew: 1,
                topology_key: "kubernetes.io/hostname".to_owned(),
                when_unsatisfiable: "ScheduleAnyway".to_owned(),
                label_selector: Some(ours()),
                ..TopologySpreadConstraint::default()
            }];
        }
        let constraints = self.settings.topology_spread_constraints.iter().cloned();
        let counting = |constraint: TopologySpreadConstraint| {
            let label_selector = constraint.label_selector.clone().or_else(|| Some(ours()));
            TopologySpreadConstraint { label_selector, ..constraint }
        };
        constraints.map(counting).collect()
    }
}

fn service_account(name: String) -> ServiceAccount {
    ServiceAccount {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn some<T: Clone>(value: &T, is_empty: fn(&T) -> bool) -> Option<T> {
    (!is_empty(value)).then(|| value.clone())
}

/// The error in `spec.pods`, if any: labels and annotations that are the controller's, and labels that the API server would refuse.
pub fn wrong_with_pods(settings: &PodSettings) -> Option<String> {
    let reserved = [label::NAME, label::INSTANCE, label::COMPONENT, label::MANAGED_BY];
    let is_ours = |key: &str| {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        reserved.contains(&key) || domain == GROUP || domain.ends_with(".temporal-stack.dev")
    };
    let fields = [("labels", &settings.labels), ("annotations", &settings.annotations)];
    let mut all = fields.into_iter().flat_map(|(field, map)| map.keys().map(move |key| (field, key)));
    if let Some((field, key)) = all.find(|(_, key)| is_ours(key)) {
        return Some(format!("spec.pods.{field} has {key}, which the controller sets; remove it"));
    }
    let (key, value) = settings.labels.iter().find(|(key, value)| {
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        name.is_empty() || !is_label(name) || !is_label(value)
    })?;
    Some(format!(
        "spec.pods.labels: {key}={value:?} is not a valid label: use at most {LABEL} letters, digits, '-', '_', '.', with a letter or digit at both ends; or use annotations"
    ))
}

fn is_label(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    let is_end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= LABEL && text.chars().all(is_inner) && is_end(text.chars().next()) && is_end(text.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector() -> BTreeMap<String, String> {
        super::super::selector("lamp", "light", "a")
    }

    fn settings(value: Value) -> PodSettings {
        serde_json::from_value(value).unwrap()
    }

    fn roll(settings: &PodSettings) -> String {
        let pods = Pods::new("a-lamp".to_owned(), selector(), settings);
        let meta = pods.template_meta(selector(), BTreeMap::new(), &json!(["wanted"]), None);
        meta.annotations.unwrap()[annotation::ROLL].clone()
    }

    #[test]
    fn pods_have_their_own_account_and_no_token() {
        let none = PodSettings::default();
        let pods = Pods::new("a-lamp".to_owned(), selector(), &none);
        let spec = pods.spec(1, 1);
        assert_eq!(spec.service_account_name.as_deref(), Some("a-lamp"));
        assert_eq!(spec.automount_service_account_token, Some(false));
        let account = pods.account().unwrap();
        assert_eq!(account.reference(), "ServiceAccount/a-lamp");
        assert_eq!(account.object["automountServiceAccountToken"], false);
    }

    #[test]
    fn account_of_the_user_replaces_the_own_one() {
        let named = settings(json!({"serviceAccountName": "theirs"}));
        let pods = Pods::new("a-lamp".to_owned(), selector(), &named);
        assert!(pods.account().is_none());
        assert_eq!(pods.spec(1, 1).service_account_name.as_deref(), Some("theirs"));
    }

    #[test]
    fn settings_reach_the_pods() {
        let all = settings(json!({
            "imagePullSecrets": [{"name": "registry"}],
            "labels": {"team": "a"},
            "annotations": {"example.com/a": "b"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
            "priorityClassName": "high",
            "runtimeClassName": "sandbox",
        }));
        let pods = Pods::new("a-lamp".to_owned(), selector(), &all);
        let spec = serde_json::to_value(pods.spec(1, 1)).unwrap();
        for field in
            ["imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName"]
        {
            assert_eq!(spec[field], serde_json::to_value(&all).unwrap()[field], "{field}");
        }
        let spread = &spec["topologySpreadConstraints"][0];
        assert_eq!((&spread["maxSkew"], &spread["labelSelector"]["matchLabels"]), (&json!(2), &json!(selector())));
        let meta = pods.meta(selector(), BTreeMap::new());
        assert_eq!(meta.labels.unwrap()["team"], "a");
        assert_eq!(meta.annotations.unwrap()["example.com/a"], "b");
    }

    #[test]
    fn labels_and_annotations_alone_restart_no_pod() {
        let none = roll(&PodSettings::default());
        assert_eq!(none, hash(&json!(["wanted"])), "that of earlier versions");
        assert_eq!(roll(&settings(json!({"labels": {"a": "b"}, "annotations": {"c": "d"}}))), none);
        for restarts in [json!({"nodeSelector": {"a": "b"}}), json!({"serviceAccountName": "theirs"})] {
            assert_ne!(roll(&settings(restarts.clone())), none, "{restarts}");
        }
    }

    #[test]
    fn platform_chooses_users_and_nothing_else() {
        let (managed, platform) = (settings(json!({})), settings(json!({"securityContext": "Platform"})));
        let security = |settings: &PodSettings| {
            let spec = Pods::new("a-lamp".to_owned(), selector(), settings).spec(999, 1);
            serde_json::to_value(spec.security_context).unwrap()
        };
        let mut wanted = security(&managed);
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert_eq!(wanted.as_object_mut().unwrap().remove(field), Some(json!(999)));
        }
        assert_eq!(security(&platform), wanted);
        assert_eq!(
            (&wanted["runAsNonRoot"], &wanted["seccompProfile"]["type"]),
            (&json!(true), &json!("RuntimeDefault"))
        );
        assert_ne!(roll(&platform), roll(&managed), "the pods are restarted");
        assert_eq!(serde_json::to_value(&managed).unwrap(), json!({}), "the hash of others stays");
    }

    #[test]
    fn label_of_the_controller_is_refused() {
        for (wrong, parts) in [
            (json!({"labels": {"app.kubernetes.io/instance": "b"}}), "spec.pods.labels has app.kubernetes.io/instance"),
            (json!({"labels": {"temporal-stack.dev/role": "api"}}), "which the controller sets"),
            (json!({"annotations": {"roll.temporal-stack.dev/x": ""}}), "spec.pods.annotations has roll."),
            (json!({"labels": {"team": "a b"}}), "is not a valid label"),
            (json!({"labels": {"": "a"}}), "is not a valid label"),
        ] {
            let message = wrong_with_pods(&settings(wrong)).unwrap();
            assert!(message.contains(parts), "{message}");
        }
        let fine = json!({"labels": {"team": "", "example.com/cost": "1.a"}, "annotations": {"a": "any text"}});
        assert_eq!(wrong_with_pods(&settings(fine)), None);
    }
}
