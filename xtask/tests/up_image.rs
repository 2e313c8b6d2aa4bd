//! `cargo xtask up --image` on a cluster sets the image in the custom resource, and fails unless pods run it.

#![expect(clippy::expect_used, reason = "a test fails by a panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A fake kubectl of a cluster whose controllers run and whose stack is Ready: records its arguments, and answers with files.
const KUBECTL: &str = "#!/bin/sh
printf '%s\\n' \"$*\" >> calls
case \"$*\" in *--filename=-*) cat > /dev/null ;; esac
case \"$*\" in
    *' kustomize '*) echo 'kind: Namespace' ;;
    *' get lease '*) printf 'leader_1' ;;
    *' get pods '*jsonpath=*) printf 'leader ' ;;
    *' get pods '*) cat pods ;;
    *' get --ignore-not-found '*--filename=-*) echo 'object/existing' ;;
    *' get temporal.temporal-stack.dev temporal '*) echo '{}' ;;
    *' deployments '*) echo '{\"items\": []}' ;;
    *' get --output=json '*) cat objects ;;
esac
";
const IMAGE: &str = "registry.example.com/team/temporal:2";

/// A cluster that only a fake kubectl knows; removed on drop.
struct Cluster(PathBuf);

impl Cluster {
    /// Its stack is Ready, and a pod of the API runs this image.
    fn new(name: &str, image: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("xtask-up-image-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("bin")).expect("a folder for programs");
        let object = |kind: &str| {
            format!(
                r#"{{"kind": "{kind}", "metadata": {{"name": "temporal", "namespace": "default", "generation": 1}}, "status": {{"conditions": [{{"type": "Ready", "status": "True", "reason": "Verified", "message": "answers", "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}}]}}}}"#
            )
        };
        let objects = ["PostgresDatabase", "MessageQueue", "IpfsCluster", "Temporal"].map(object).join(", ");
        let pod = format!(
            r#"{{"metadata": {{"ownerReferences": [{{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true}}]}}, "spec": {{"containers": [{{"image": "{image}"}}]}}, "status": {{"phase": "Running", "conditions": [{{"type": "Ready", "status": "True"}}]}}}}"#
        );
        for (file, items) in [("objects", objects), ("pods", pod)] {
            fs::write(folder.join(file), format!(r#"{{"items": [{items}]}}"#)).expect("a file");
        }
        fs::write(folder.join("calls"), "").expect("a file");
        let kubectl = folder.join("bin/kubectl");
        fs::write(&kubectl, KUBECTL).expect("a kubectl");
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).expect("a kubectl that runs");
        Self(folder)
    }

    /// Runs `up` on it with the image; returns what it said, and the calls of kubectl. It always fails: nothing is served here.
    fn up(&self) -> (String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["up", "--context", "theirs", "--yes", "--image", &format!("temporal={IMAGE}")])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.join("bin").display()))
            .env("HOME", &self.0)
            .env("XDG_CACHE_HOME", self.0.join("cache"))
            .env("TEMPORAL_STACK_NODE_DIR", self.0.join("node"))
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .expect("xtask starts");
        assert!(!output.status.success());
        let calls = fs::read_to_string(self.0.join("calls")).expect("calls");
        (String::from_utf8_lossy(&output.stderr).into_owned(), calls)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn image_is_set_in_the_custom_resource() {
    let (said, calls) = Cluster::new("set", IMAGE).up();
    let mut patches = calls.lines().filter(|call| call.contains(" patch "));
    let patch = patches.next().expect("a patch");
    assert!(patch.contains(" patch temporal.temporal-stack.dev temporal --namespace default "), "{patch}\n{said}");
    assert!(patch.ends_with(&format!(r#"--patch {{"spec":{{"image":"{IMAGE}"}}}}"#)), "{patch}");
    assert_eq!(patches.next(), None);
}

#[test]
fn pods_with_another_image_are_a_failure() {
    let (said, _) = Cluster::new("other", "registry.example.com/team/temporal:1").up();
    let told = format!("image not running: no ready pod has {IMAGE}; pods have: registry.example.com/team/temporal:1");
    assert!(said.contains(&told), "{said}");
    assert!(!said.contains("look up addresses"), "{said}");
}

#[test]
fn pods_with_the_image_pass_the_check() {
    let (said, _) = Cluster::new("same", IMAGE).up();
    assert!(!said.contains("image not running"), "{said}");
    assert!(said.contains("check images") && said.contains("look up addresses"), "{said}");
}
