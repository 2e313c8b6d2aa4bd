//! The one object of a namespace that may use a ConfigMap or Secret with the default name.
//!
//! A default name belongs to no object in particular, and its source may hold a login and a password: two objects that read it
//! would silently share them. So it counts for one object, the oldest of its kind in the namespace that names no other source;
//! all others report that they do not use it. An object that names the source in its spec reads it whatever its age.
//!
//! An object that uses the source keeps it, and an object that does not use it continues without it:
//!
//! * When the holder is deleted, no existing object takes over its database and login. The next object that is *created* may.
//! * Two objects that both read it, because an earlier version of the controller allowed it, keep it, and report it.
//!
//! The history of an object is in its condition `ConfigHonoured`. The order of objects must not depend on anything that changes
//! with each status write, or they would alternate as holders, with a write each time. So among objects created in the same
//! second, those with the condition come first, by name; then the others, which nothing has changed since their creation, by
//! resource version.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use kube::ResourceExt;

use crate::{
    api::{Kind, Status},
    condition::{self, CONFIG_HONOURED},
    message::as_written,
    watches::Configuration,
};

/// Whether an object may read the source with the default name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultSource {
    /// It counts for this object.
    Ours,
    /// It counts for that object, and this one has always read it too.
    Shared(String),
    /// It counts, or counted, for that object.
    NotUsed(Option<String>),
}

/// A part of the remark, by which the next pass recognises it.
const NOT_USED: &str = " is not used: it belongs to ";
/// How earlier versions reported a source that is used as written. Without it, an object that they reported would lose a source
/// that it shares with a younger one.
const FORMERLY_AS_WRITTEN: &str = " was taken as it is written";

impl DefaultSource {
    /// Whether the source may be read.
    pub fn is_readable(&self) -> bool {
        !matches!(self, Self::NotUsed(_))
    }

    /// The remark about the source `ConfigMap/<name>` or `Secret/<name>`, if any. `remedy` describes how to use another one.
    pub fn remark(&self, source: &str, remedy: &str) -> Option<String> {
        match self {
            Self::Ours => None,
            Self::Shared(holder) => Some(format!("{holder}, which is older, has the same values; {remedy}")),
            Self::NotUsed(holder) => {
                let holder = holder.as_deref().unwrap_or("a deleted object");
                Some(format!("{source}{NOT_USED}{holder}; {remedy}"))
            }
        }
    }
}

/// How an object has used the source so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Reads,
    DoesWithout,
    /// It has reported, and the source did not exist.
    FoundNone,
    /// It has not reported yet.
    Unknown,
}

/// An object that may read the source.
#[derive(Clone, Debug)]
struct Contender {
    uid: String,
    title: String,
    made: Option<Timestamp>,
    version: Option<u64>,
    past: Past,
}

impl Contender {
    fn order(&self) -> (Option<Timestamp>, u8, Option<u64>, &str) {
        let (rank, version) = match self.past {
            Past::Reads => (0, None),
            Past::FoundNone | Past::DoesWithout => (1, None),
            Past::Unknown => (2, self.version),
        };
        (self.made, rank, version, &self.title)
    }
}

/// The claim of an object, among the objects of its kind in its namespace,
/// that reads the source of the default name.
pub(crate) fn decide<'a, K: Kind>(
    object: &K,
    others: impl Iterator<Item = &'a K>,
    configuration: fn(&K) -> Configuration<'_>,
    (kind, name): (&str, &str),
) -> DefaultSource {
    let source = format!("{kind}/{name}");
    let contends = |one: &&K| match configuration(one) {
        Configuration::Default => true,
        Configuration::Named(other) => other == name,
        Configuration::Nothing => false,
    };
    let others: Vec<Contender> = others.filter(contends).map(|one| contender(one, &source)).collect();
    classify(&contender(object, &source), &others)
}

fn contender<K: Kind>(object: &K, source: &str) -> Contender {
    let conditions = object.status().map(Status::conditions).unwrap_or_default();
    Contender {
        uid: object.uid().unwrap_or_default(),
        title: format!("{}/{}", K::kind(&()), object.name_any()),
        made: object.meta().creation_timestamp.as_ref().map(|time| time.0),
        version: object.resource_version().and_then(|version| version.parse().ok()),
        past: past(conditions, source),
    }
}

fn classify(object: &Contender, all: &[Contender]) -> DefaultSource {
    let others = || all.iter().filter(|other| other.uid != object.uid && other.past != Past::DoesWithout);
    let reads = || others().filter(|other| other.past == Past::Reads);
    let first = |one: Option<&Contender>| one.map(|one| one.title.clone());
    let oldest_reader = || reads().min_by(|one, other| one.order().cmp(&other.order()));
    let oldest = || others().min_by(|one, other| one.order().cmp(&other.order()));
    match object.past {
        Past::DoesWithout => DefaultSource::NotUsed(first(oldest_reader().or_else(oldest))),
        Past::Reads => match oldest_reader().filter(|other| other.order() < object.order()) {
            Some(holder) => DefaultSource::Shared(holder.title.clone()),
            None => DefaultSource::Ours,
        },
        Past::FoundNone | Past::Unknown => {
            match oldest_reader().or_else(|| oldest().filter(|other| other.order() < object.order())) {
                Some(holder) => DefaultSource::NotUsed(Some(holder.title.clone())),
                None => DefaultSource::Ours,
            }
        }
    }
}

/// Reads the history from the condition of the last pass: [`DefaultSource::remark`], and the messages of [`config`](crate::config).
fn past(conditions: &[Condition], source: &str) -> Past {
    let Some(honoured) = condition::find(conditions, CONFIG_HONOURED) else { return Past::Unknown };
    let says = |beginning: &str| honoured.message.split("; ").any(|sentence| sentence.starts_with(beginning));
    let without = format!("{source}{NOT_USED}");
    let reads = [format!("{source}: "), as_written(source), format!("{source}{FORMERLY_AS_WRITTEN}")];
    if says(&without) || honoured.message.starts_with(&format!("{source}: {without}")) {
        Past::DoesWithout
    } else if reads.iter().any(|beginning| says(beginning)) {
        Past::Reads
    } else {
        Past::FoundNone
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::{
        condition::{Statement, dated, reason},
        config::Reading,
    };

    const SOURCE: &str = "ConfigMap/postgres-config";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn contender(title: &str, made: i64, version: u64, past: Past) -> Contender {
        Contender { uid: title.to_owned(), title: title.to_owned(), made: Some(at(made)), version: Some(version), past }
    }

    fn theirs(title: &str) -> DefaultSource {
        DefaultSource::NotUsed(Some(title.to_owned()))
    }

    #[test]
    fn older_of_two_new_objects_alone_gets_the_source() {
        let (users, orders) = (contender("users", 1, 10, Past::Unknown), contender("orders", 2, 11, Past::Unknown));
        let all = [users.clone(), orders.clone()];
        assert_eq!((classify(&users, &all), classify(&orders, &all)), (DefaultSource::Ours, theirs("users")));
    }

    #[test]
    fn first_object_of_one_second_gets_the_source() {
        let (users, orders) = (contender("users", 1, 10, Past::Unknown), contender("orders", 1, 11, Past::Unknown));
        let all = [orders.clone(), users.clone()];
        assert_eq!((classify(&users, &all), classify(&orders, &all)), (DefaultSource::Ours, theirs("users")));
        // The status of the first one has been written meanwhile, with a newer version.
        let (users, orders) = (contender("users", 1, 30, Past::Reads), contender("orders", 1, 11, Past::Unknown));
        let all = [orders.clone(), users.clone()];
        assert_eq!((classify(&users, &all), classify(&orders, &all)), (DefaultSource::Ours, theirs("users")));
    }

    #[test]
    fn status_writes_do_not_change_the_holder() {
        let made = |n: u64| contender(&format!("n{}", (n * 3) % 7), 1, 10 + n, Past::Unknown);
        for source_exists in [true, false] {
            let mut all: Vec<Contender> = (0..7).map(made).collect();
            let holder = all[0].title.clone();
            // Each reports, in an order that is not that of their making, and is at a new version after that.
            for (version, index) in [3, 0, 6, 2, 5, 1, 4].into_iter().enumerate() {
                let default_source = classify(&all[index], &all);
                all[index].past = match (&default_source, source_exists) {
                    (DefaultSource::NotUsed(_), _) => Past::DoesWithout,
                    (_, true) => Past::Reads,
                    (_, false) => Past::FoundNone,
                };
                all[index].version = Some(100 + version as u64);
                for one in all.iter().filter(|one| one.past != Past::Unknown) {
                    let expected = if one.title == holder { DefaultSource::Ours } else { theirs(&holder) };
                    assert_eq!(classify(one, &all), expected, "{} after {version}", one.title);
                }
            }
        }
    }

    #[test]
    fn two_readers_of_one_second_do_not_alternate() {
        for versions in [(12, 13), (14, 13)] {
            let (users, orders) =
                (contender("users", 1, versions.0, Past::Reads), contender("orders", 1, versions.1, Past::Reads));
            let all = [users.clone(), orders.clone()];
            assert_eq!(
                (classify(&users, &all), classify(&orders, &all)),
                (DefaultSource::Shared("orders".to_owned()), DefaultSource::Ours)
            );
        }
    }

    #[test]
    fn source_of_a_deleted_holder_is_not_taken_over() {
        let orders = contender("orders", 2, 11, Past::DoesWithout);
        assert_eq!(classify(&orders, std::slice::from_ref(&orders)), DefaultSource::NotUsed(None));
        let remade = contender("users", 3, 20, Past::Unknown);
        let all = [orders.clone(), remade.clone()];
        assert_eq!((classify(&remade, &all), classify(&orders, &all)), (DefaultSource::Ours, theirs("users")));
    }

    #[test]
    fn two_existing_readers_keep_it_and_the_younger_reports() {
        let (users, orders) = (contender("users", 1, 10, Past::Reads), contender("orders", 2, 11, Past::Reads));
        let all = [users.clone(), orders.clone()];
        assert_eq!(
            (classify(&users, &all), classify(&orders, &all)),
            (DefaultSource::Ours, DefaultSource::Shared("users".to_owned()))
        );
    }

    #[test]
    fn existing_reader_keeps_it_from_an_older_object() {
        let (older, reader) = (contender("older", 1, 10, Past::Unknown), contender("reader", 2, 11, Past::Reads));
        let all = [older.clone(), reader.clone()];
        assert_eq!((classify(&older, &all), classify(&reader, &all)), (theirs("reader"), DefaultSource::Ours));
    }

    fn past_of(statement: Statement) -> Past {
        past(&dated(vec![statement], &[], None, Time(at(0)).0), SOURCE)
    }

    #[test]
    fn past_of_an_object_is_read_from_its_condition() {
        let reading = Reading::default();
        assert_eq!(past_of(reading.statement(SOURCE)), Past::Reads);
        let formerly = format!("{SOURCE} was taken as it is written");
        assert_eq!(past_of(Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, formerly)), Past::Reads);
        for default_source in
            [DefaultSource::Shared("X/users".to_owned()), theirs("X/users"), DefaultSource::NotUsed(None)]
        {
            let adapted = default_source.remark(SOURCE, "name another").into_iter().collect();
            let reading = Reading { adapted, ..Reading::default() };
            let expected = if default_source.is_readable() { Past::Reads } else { Past::DoesWithout };
            assert_eq!(past_of(reading.statement(SOURCE)), expected, "{default_source:?}");
        }
        let absent = format!("{SOURCE} does not exist; the defaults apply");
        assert_eq!(past_of(Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, absent)), Past::FoundNone);
        let external = format!("Secret/x: ignored, because Secret/x describes the server: {SOURCE}");
        assert_eq!(past_of(Statement::holds(CONFIG_HONOURED, reason::ADAPTED, external)), Past::FoundNone);
        assert_eq!(past(&[], SOURCE), Past::Unknown);
    }
}
