//! An application in the cluster: a pod that knows the binding's Secret and nothing else.

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, PostParams};
use serde_json::json;

use crate::{HANG, Space, database::NAME, until};

const POD: &str = "application";

impl Space {
    /// Runs SQL in a pod that reads the binding's `uri`, and returns what psql printed.
    pub async fn run_in_pod(&self, sql: &str) -> Result<String> {
        let server = self.server().await?.spec.context("the server's pod has no spec")?;
        let image = server.containers.first().and_then(|container| container.image.clone());
        let binding = json!({"name": format!("{NAME}-postgresdatabase-binding"), "key": "uri"});
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": format!("{POD}-")},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": POD,
                    "image": image,
                    "command": ["sh", "-c", "exec psql \"$BINDING\" --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 -c \"$STATEMENTS\""],
                    "env": [
                        {"name": "BINDING", "valueFrom": {"secretKeyRef": binding}},
                        {"name": "STATEMENTS", "value": sql},
                        // The log is the answer, so it has nothing else.
                        {"name": "PGOPTIONS", "value": "-c client_min_messages=warning"},
                    ],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        }))?;
        let pods = self.api::<Pod>();
        let name = pods.create(&PostParams::default(), &pod).await?.metadata.name.context("the pod has no name")?;
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let has_ended = |pod: &Pod| matches!(phase(pod).as_str(), "Succeeded" | "Failed");
        let ended = until(&pods, &name, &format!("ended within {HANG:?}"), has_ended).await?;
        let output = pods.logs(&name, &LogParams::default()).await?;
        if phase(&ended) != "Succeeded" {
            bail!("{sql} failed in a pod: {output}");
        }
        pods.delete(&name, &DeleteParams::default()).await?;
        Ok(output.trim().to_owned())
    }
}
