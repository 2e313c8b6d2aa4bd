//! The documents of S3: read with limits, and written.

use std::fmt;

use quick_xml::{
    Reader,
    escape::{escape, resolve_predefined_entity},
    events::{BytesRef, BytesStart, Event},
};

/// The deepest nesting: lifecycle rules have six.
const DEPTH: usize = 16;
/// The most elements: a page of a thousand versions has some 12,000.
const ELEMENTS: usize = 32_000;
/// The namespace of all documents.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// An element, without its attributes: no answer that is used has any that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name without prefix.
    pub(super) name: String,
    /// Its text, without that of its children.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// An element of others.
    pub(super) fn new(name: &str, children: impl IntoIterator<Item = Self>) -> Self {
        Self { name: name.to_owned(), text: String::new(), children: children.into_iter().collect() }
    }

    /// An element with a text.
    pub(super) fn leaf(name: &str, text: impl fmt::Display) -> Self {
        Self { name: name.to_owned(), text: text.to_string(), children: Vec::new() }
    }

    /// The first child of that name.
    pub(super) fn child(&self, name: &'static str) -> Option<&Self> {
        self.children_named(name).next()
    }

    /// The children of that name.
    pub(super) fn children_named<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of that name; `None` if it is absent or empty.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Whether the first child of that name is `true`.
    pub(super) fn is(&self, name: &'static str) -> bool {
        self.text(name) == Some("true")
    }

    /// Reads a document; or why it is none, or one of more than the limits.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(document).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut reader = Reader::from_str(text);
        // The document is the only child of the first element.
        let mut open = vec![Self::default()];
        let mut elements = 0;
        loop {
            let event = reader.read_event().map_err(|error| format!("it is not XML: {error}"))?;
            let is_empty = matches!(event, Event::Empty(_));
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    elements += 1;
                    if open.len() > DEPTH || elements > ELEMENTS {
                        return Err("it has more elements, or deeper ones, than any valid one".to_owned());
                    }
                    open.push(Self::leaf(&name(&start), ""));
                    if is_empty {
                        close(&mut open);
                    }
                }
                Event::End(_) => close(&mut open),
                Event::Text(text) => append(&mut open, &text),
                Event::CData(text) => append(&mut open, &text),
                Event::GeneralRef(reference) => append(&mut open, &resolved(&reference)?),
                Event::DocType(_) => return Err("it has a document type".to_owned()),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        let [root] = open.as_mut_slice() else { return Err("it ends early".to_owned()) };
        root.children.pop().ok_or_else(|| "it is empty".to_owned())
    }
}

fn name(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

fn close(open: &mut Vec<Element>) {
    if let Some(element) = open.pop()
        && let Some(parent) = open.last_mut()
    {
        parent.children.push(element);
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Ok(character.to_string());
    }
    resolve_predefined_entity(reference).map(str::to_owned).ok_or_else(|| "it has an unknown entity".to_owned())
}

impl fmt::Display for Element {
    /// As the document of a request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, &format!(" xmlns=\"{NAMESPACE}\""), f)
    }
}

/// A document of elements with a text each, without a namespace: what APIs for administration read.
pub fn plain_document(name: &str, leaves: &[(&str, &str)]) -> String {
    struct Plain(Element);
    impl fmt::Display for Plain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(&self.0, "", f)
        }
    }
    Plain(Element::new(name, leaves.iter().map(|(name, text)| Element::leaf(name, text)))).to_string()
}

fn write(element: &Element, attribute: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Element { name, text, children } = element;
    write!(f, "<{name}{attribute}>")?;
    if children.is_empty() {
        f.write_str(&escape(text.as_str()))?;
    }
    for child in children {
        write(child, "", f)?;
    }
    write!(f, "</{name}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_is_read_with_its_escapes() {
        let text = "<?xml version=\"1.0\"?>\n<!-- a --><a:List xmlns:a=\"x\"><Key>a&amp;b &#x41;&lt;</Key><Key/>\
            <ETag>&quot;1&quot;</ETag><Data><![CDATA[<&>]]></Data></a:List>";
        let list = Element::parse(text.as_bytes()).unwrap();
        let keys: Vec<&str> = list.children_named("Key").map(|key| key.text.as_str()).collect();
        assert_eq!((list.name.as_str(), keys.as_slice()), ("List", &["a&b A<", ""][..]));
        assert_eq!((list.text("ETag"), list.text("Data"), list.text("No")), (Some("\"1\""), Some("<&>"), None));
    }

    #[test]
    fn document_is_written_with_escapes() {
        let document = Element::new("A", [Element::leaf("Key", "<&\"é>"), Element::new("B", [])]);
        let text = document.to_string();
        assert!(text.starts_with("<A xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Key>&lt;&amp;"), "{text}");
        assert_eq!(Element::parse(text.as_bytes()).unwrap(), document);
    }

    #[test]
    fn plain_document_has_no_namespace() {
        let text = plain_document("Account", &[("Access", "a<b>&"), ("Role", "user")]);
        assert_eq!(text, "<Account><Access>a&lt;b&gt;&amp;</Access><Role>user</Role></Account>");
    }

    #[test]
    fn deep_or_crowded_document_is_refused() {
        let deep = |depth| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(Element::parse(deep(DEPTH).as_bytes()).is_ok());
        assert!(Element::parse(deep(DEPTH + 1).as_bytes()).is_err());
        assert!(Element::parse("<a>".repeat(1_000_000).as_bytes()).is_err());
        let crowded = |count| format!("<a>{}</a>", "<b/>".repeat(count));
        assert!(Element::parse(crowded(ELEMENTS - 1).as_bytes()).is_ok());
        assert!(Element::parse(crowded(ELEMENTS).as_bytes()).is_err());
    }

    #[test]
    fn document_type_and_entities_are_refused() {
        for text in [
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a>&b;</a>",
            "<a>&#xffffffff;</a>",
            "<a>",
            "<a></b>",
            "",
            "no",
            "{\"Code\":\"x\"}",
            "\u{feff}",
        ] {
            assert!(Element::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }
}
