use temporal_stack_common::api::PostgresDatabaseSpec;

use super::*;

fn with(data: &[(&str, &str)]) -> Settings {
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
    Settings::new(&object, config(Some(&super::read(&data, false)), &DefaultSource::Ours), InUse::default(), None)
}

fn config<'a>(reading: Option<&'a Reading>, default_source: &'a DefaultSource) -> Config<'a> {
    Config { name: "postgres-config", reading, default_source }
}

fn message(settings: &Settings) -> String {
    format!("{:?}", settings.honoured)
}

#[test]
fn database_without_configuration_has_the_objects_name() {
    let object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
    let settings = Settings::new(&object, config(None, &DefaultSource::Ours), InUse::default(), None);
    assert_eq!((settings.database.as_str(), settings.user, settings.password), ("temporal", None, None));
}

#[test]
fn removed_config_map_changes_nothing_in_use() {
    let object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
    let in_use = InUse { database: Some("orders"), user: Some("shop") };
    let settings = Settings::new(&object, config(None, &DefaultSource::Ours), in_use, None);
    assert_eq!((settings.database.as_str(), settings.user.as_deref()), ("orders", Some("shop")));
}

#[test]
fn published_configuration_is_adapted() {
    let settings =
        with(&[("POSTGRES_DB", "temporal"), ("POSTGRES_USER", "postgres"), ("POSTGRES_PASSWORD", "password123")]);
    assert_eq!(settings.database, "temporal");
    assert_eq!(settings.user.as_deref(), Some("postgres"));
    assert_eq!(settings.password.as_deref(), Some("password123"));
    let message = message(&settings);
    assert!(message.contains("Adapted") && message.contains("holds: true"), "{message}");
    assert!(message.contains("not a superuser") && message.contains("is in a ConfigMap"), "{message}");
    assert!(!message.contains("password123"), "{message}");
}

#[test]
fn spec_field_beats_the_config_map() {
    let mut object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
    object.spec.database = Some("mine".to_owned());
    let data = BTreeMap::from([(DATABASE.to_owned(), "theirs".to_owned())]);
    assert_eq!(
        Settings::new(&object, config(Some(&super::read(&data, false)), &DefaultSource::Ours), InUse::default(), None)
            .database,
        "mine"
    );
}

#[test]
fn invalid_value_is_refused_with_its_key() {
    for (key, value) in [
        (DATABASE, ""),
        (DATABASE, "a\0b"),
        (DATABASE, "template1"),
        (USER, "pg_me"),
        (USER, ADMINISTRATOR),
        (PASSWORD, ""),
    ] {
        let message = message(&with(&[(key, value)]));
        assert!(message.contains("Refused") && message.contains(key), "{message}");
    }
}

#[test]
fn unknown_key_is_named_with_the_nearest_valid_one() {
    let message = message(&with(&[("POSTGRES_DATABASE", "x")]));
    assert!(message.contains("POSTGRES_DATABASE is not a known key"), "{message}");
    assert!(message.contains("did you mean POSTGRES_DB?"), "{message}");
}

#[test]
fn password_with_line_break_is_trimmed_and_reported() {
    let object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
    let remarks = vec!["the key password ends with a line break, which is removed".to_owned()];
    let password = Outcome { read: Ok("hunter2".to_owned()), remarks };
    let settings = Settings::new(&object, config(None, &DefaultSource::Ours), InUse::default(), Some(password));
    assert_eq!(settings.stalled, None);
    assert_eq!((settings.user.as_deref(), settings.password.as_deref()), (Some("temporal"), Some("hunter2")));
    let message = message(&settings);
    assert!(message.contains("Adapted") && message.contains("line break"), "{message}");
}

#[test]
fn config_map_of_another_object_is_not_used_and_reported() {
    let object = PostgresDatabase::new("orders", PostgresDatabaseSpec::default());
    let default_source = DefaultSource::NotUsed(Some("PostgresDatabase/users".to_owned()));
    let new = Settings::new(&object, config(None, &default_source), InUse::default(), None);
    assert_eq!((new.database.as_str(), &new.user, &new.password), ("orders", &None, &None));
    let message = message(&new);
    assert!(message.contains("Adapted") && message.contains("belongs to PostgresDatabase/users"), "{message}");
    let in_use = InUse { database: Some("users"), user: Some("users_app") };
    let kept = Settings::new(&object, config(None, &default_source), in_use, None);
    assert_eq!((kept.database.as_str(), kept.user.as_deref()), ("users", Some("users_app")));
}

#[test]
fn password_without_user_belongs_to_the_databases_name() {
    assert_eq!(with(&[(PASSWORD, "x")]).user.as_deref(), Some("temporal"));
}
