//! What a form says: `multipart/form-data`, or what a URL would hold.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use memchr::memmem;

use super::answer::Refusal;

/// A larger file goes through a file below `TMPDIR`.
const IN_MEMORY: usize = 32 << 20;

/// A form.
#[derive(Debug, Default)]
pub(super) struct Form {
    fields: HashMap<String, String>,
    file: Option<Upload>,
}

/// The file of a form, in the field `file`.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    /// What it is called, without a directory.
    pub(super) name: String,
    /// What is in it.
    pub(super) bytes: Bytes,
}

impl Form {
    /// Reads a body. What cannot be read says nothing.
    pub(super) fn read(content_type: &str, body: &Bytes) -> Self {
        if content_type.starts_with("application/x-www-form-urlencoded") {
            return Self { fields: form_urlencoded::parse(body).into_owned().collect(), file: None };
        }
        let form = multipart(content_type, body).unwrap_or_default();
        // Where nothing can be written, a large form is as good as none.
        match form.file.as_ref().map(|file| spool(&file.bytes)) {
            Some(Err(_)) => Self::default(),
            _ => form,
        }
    }

    /// Reads the body of a request.
    pub(super) fn of(headers: &HeaderMap, body: &Bytes) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        Self::read(kind.unwrap_or_default(), body)
    }

    /// Fields that must say something; the first that does not is named.
    pub(super) fn require<'a, const N: usize>(&'a self, names: [&str; N]) -> Result<[&'a str; N], Refusal> {
        if let Some(missing) = names.iter().find(|name| self.get(name).is_none()) {
            return Err(Refusal::missing(missing));
        }
        Ok(names.map(|name| self.get(name).unwrap_or_default()))
    }

    /// A field that says something.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The file.
    pub(super) fn file(&self) -> Option<&Upload> {
        self.file.as_ref()
    }
}

fn multipart(content_type: &str, body: &Bytes) -> Option<Form> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut form = Form::default();
    // The first delimiter has no line before it.
    let mut at = if body.starts_with(&delimiter.as_bytes()[2..]) {
        delimiter.len() - 2
    } else {
        finder.find(body)? + delimiter.len()
    };
    while !body[at..].starts_with(b"--") {
        let head = at + memmem::find(&body[at..], b"\r\n\r\n")?;
        let start = head + 4;
        let head = std::str::from_utf8(&body[at..head]).ok()?;
        let end = start + finder.find(&body[start..])?;
        let content = body.slice(start..end);
        at = end + delimiter.len();
        let disposition = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition").then_some(value)
        })?;
        let Some(name) = parameter(disposition, "name") else { continue };
        match parameter(disposition, "filename") {
            Some(file) if name == "file" => {
                let name = Path::new(&file).file_name().map(|name| name.to_string_lossy().into_owned());
                form.file.get_or_insert(Upload { name: name.unwrap_or_default(), bytes: content });
            }
            Some(_) => {}
            None => drop(form.fields.entry(name).or_insert_with(|| String::from_utf8_lossy(&content).into_owned())),
        }
    }
    Some(form)
}

/// `name="value"` or `name=value` among parameters.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Writes a large file down and forgets it again, as what the original uses does before anybody reads it.
fn spool(bytes: &[u8]) -> io::Result<()> {
    if bytes.len() <= IN_MEMORY {
        return Ok(());
    }
    let path = spooled();
    let written = File::create(&path).and_then(|mut file| file.write_all(bytes));
    let _ = std::fs::remove_file(path);
    written
}

fn spooled() -> PathBuf {
    let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    std::env::temp_dir().join(format!("multipart-{unique}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn read(body: &str) -> Form {
        Form::read(TYPE, &Bytes::from(body.replace('\n', "\r\n")))
    }

    #[test]
    fn fields_and_the_file_are_found() {
        let form = read(
            "--XX\nContent-Disposition: form-data; name=\"hold_time\"\n\n3\n--XX\nContent-Disposition: form-data; \
             name=\"file\"; filename=\"../a.txt\"\nContent-Type: text/plain\n\nhello\n--X\n\n--XX--\n",
        );
        assert_eq!(form.get("hold_time"), Some("3"));
        let file = form.file().unwrap();
        assert_eq!((file.name.as_str(), &file.bytes[..]), ("a.txt", &b"hello\r\n--X\r\n"[..]));
    }

    #[test]
    fn empty_file_counts_and_empty_field_does_not() {
        let form = read(
            "--XX\nContent-Disposition: form-data; name=\"file\"; filename=\"e\"\n\n\n--XX\nContent-Disposition: form-data; \
             name=\"hold_time\"\n\n\n--XX--\n",
        );
        assert!(form.file().unwrap().bytes.is_empty());
        assert_eq!(form.get("hold_time"), None);
    }

    #[test]
    fn form_of_a_browser_is_read_too() {
        let form = Form::read("application/x-www-form-urlencoded", &Bytes::from("hold_time=2&file_name=a%20b"));
        assert_eq!((form.get("hold_time"), form.get("file_name")), (Some("2"), Some("a b")));
    }

    #[test]
    fn truncated_form_has_no_fields() {
        assert!(read("--XX\nContent-Disposition: form-data; name=\"a\"\n\nhel").get("a").is_none());
        assert!(Form::read("text/plain", &Bytes::from("a=b")).get("a").is_none());
    }
}
