//! One side of a copy: a Secret, or a mounted one.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::Path,
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::Api;
use temporal_stack_common::{
    binding::text,
    failure::chain,
    process::client::{self, Requests},
    s3::Client,
};

use super::Error;
use crate::{access, names::BUCKET};

/// The most bytes of a file: a Secret has up to 1 MiB, more in JSON.
const LARGEST: u64 = 4 << 20;
/// The most files of a folder.
const MOST: usize = 64;

/// One side.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The object storage as the owner of the key.
    pub(super) client: Client,
    /// Where it is.
    pub(super) endpoint: String,
    /// The bucket that the Secret is about.
    pub(super) bucket: Option<String>,
}

/// Reads the side that an argument names.
pub(super) async fn read(option: &'static str, reference: &str, context: Option<&str>) -> Result<Location, Error> {
    let failure = |cause: String| Error::Location { option, message: format!("{reference}: {cause}") };
    let path = Path::new(reference);
    let secret = match fs::metadata(path) {
        Ok(about) if about.is_dir() => of_folder(path).map_err(|error| failure(error.to_string()))?,
        Ok(_) => of_file(path).map_err(|error| failure(error.to_string()))?,
        Err(_) => of_cluster(reference, context).await.map_err(failure)?,
    };
    let bucket = text(&secret, BUCKET).map(str::to_owned);
    let store = access::read_from(option, reference, Some(&secret)).read.map_err(|stalled| failure(stalled.message))?;
    let client = store.client().map_err(|error| failure(chain(&error)))?;
    Ok(Location { client, endpoint: store.address.endpoint, bucket })
}

/// A mounted Secret has a file for each key. Its other files begin with a dot.
fn of_folder(folder: &Path) -> io::Result<Secret> {
    let mut data = BTreeMap::new();
    for entry in fs::read_dir(folder)?.take(MOST) {
        let entry = entry?;
        let key = entry.file_name().to_string_lossy().into_owned();
        if !key.starts_with('.') && fs::metadata(entry.path())?.is_file() {
            data.insert(key, ByteString(content(&entry.path())?));
        }
    }
    Ok(Secret { data: Some(data), ..Secret::default() })
}

fn of_file(path: &Path) -> io::Result<Secret> {
    serde_json::from_slice(&content(path)?).map_err(|error| {
        let form = "write it with: kubectl get secret NAME -n NAMESPACE -o json";
        io::Error::new(io::ErrorKind::InvalidData, format!("not a Secret in JSON (line {}); {form}", error.line()))
    })
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(LARGEST).read_to_end(&mut content)?;
    Ok(content)
}

async fn of_cluster(reference: &str, context: Option<&str>) -> Result<Secret, String> {
    let (namespace, name) = match reference.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, reference),
    };
    if !is_name(name) || !namespace.is_none_or(is_name) {
        return Err("neither a file nor the name of a Secret; write NAMESPACE/NAME".to_owned());
    }
    let config = client::config(context).await.map_err(|error| chain(&error))?;
    let builder = client::builder(config, &Requests::default()).map_err(|error| chain(&error))?;
    let client = builder.build();
    let namespace = namespace.unwrap_or_else(|| client.default_namespace()).to_owned();
    Api::<Secret>::namespaced(client, &namespace).get(name).await.map_err(|error| chain(&error))
}

/// Whether a text can be the name of an object of Kubernetes: it is part of a path.
fn is_name(text: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    is_end(text.bytes().next()) && is_end(text.bytes().next_back()) && text.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed when it is dropped.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("storage-copy-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, name: &str, content: &str) -> String {
            fs::write(self.0.join(name), content).unwrap();
            self.0.join(name).to_string_lossy().into_owned()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const KEYS: [(&str, &str); 4] = [
        ("endpoint", "http://minio:9000"),
        ("access-key-id", "AKID"),
        ("secret-access-key", "s3cret"),
        ("bucket", "photos"),
    ];

    #[tokio::test]
    async fn mounted_binding_is_read() {
        let folder = Folder::new("mounted");
        for (key, value) in KEYS {
            folder.write(key, value);
        }
        folder.write("..data", "x");
        let location = read("--from", &folder.0.to_string_lossy(), None).await.unwrap();
        assert_eq!((location.endpoint.as_str(), location.bucket.as_deref()), ("http://minio:9000", Some("photos")));
    }

    #[tokio::test]
    async fn secret_in_json_is_read() {
        let folder = Folder::new("json");
        let data: BTreeMap<String, ByteString> = KEYS
            .iter()
            .take(3)
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect();
        let secret = Secret { data: Some(data), ..Secret::default() };
        let path = folder.write("secret.json", &serde_json::to_string(&secret).unwrap());
        assert_eq!(read("--to", &path, None).await.unwrap().bucket, None);
    }

    #[tokio::test]
    async fn incomplete_secret_is_refused_without_its_values() {
        let folder = Folder::new("incomplete");
        folder.write("endpoint", "no url");
        folder.write("access-key-id", "AKID");
        let failure = read("--from", &folder.0.to_string_lossy(), None).await.unwrap_err().to_string();
        assert!(failure.starts_with("--from ") && failure.contains("secret-access-key"), "{failure}");
        assert!(!failure.contains("AKID"), "{failure}");
        let path = folder.write("no.json", "AKID: {");
        let failure = read("--from", &path, None).await.unwrap_err().to_string();
        assert!(failure.contains("not a Secret in JSON") && !failure.contains("AKID"), "{failure}");
    }

    #[tokio::test]
    async fn name_that_means_another_path_is_refused() {
        for reference in ["", "../x", "a/b/c", "a/", "/nowhere", "a b"] {
            let failure = read("--from", reference, None).await.unwrap_err();
            assert!(failure.to_string().contains("NAMESPACE/NAME"), "{reference}: {failure}");
        }
    }
}
