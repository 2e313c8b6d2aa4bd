//! What counts as a message, and where a user sees it.

use super::*;

fn found(name: &str, text: &str) -> Vec<(Section, Option<String>, String)> {
    let reasons = BTreeMap::from([("DARK", "Dark")]);
    let all = messages(&syn::parse_str(text).unwrap(), name, &reasons);
    all.into_iter().map(|(section, message)| (section, message.reason, message.text)).collect()
}

fn sections(name: &str, text: &str) -> Vec<Section> {
    found(name, text).into_iter().map(|(section, ..)| section).collect()
}

#[test]
fn message_has_the_reason_beside_it() {
    let text = "fn a() { Stalled { reason: reason::DARK, message: format!(\"{lamp} is dark\") };
        Statement::fails(READY, DARK, \"all is dark\"); other(\"it stays dark\") }";
    let dark = Some("Dark".to_owned());
    let told: Vec<_> = found("lamp", text).into_iter().map(|(_, reason, text)| (reason, text)).collect();
    assert_eq!(
        told,
        [
            (dark.clone(), "{lamp} is dark".to_owned()),
            (dark, "all is dark".to_owned()),
            (None, "it stays dark".to_owned())
        ]
    );
}

#[test]
fn function_that_takes_a_text_decides_its_heading() {
    let text = "fn a() { info!(lamp, \"the lamp is lit\"); x.context(\"could not look\"); bail!(\"no {} lamp\", 1);
        y.note(\"Lit\", format!(\"{} was lit\", f(\"by the user\"))); panic!(\"never seen by anybody\"); }
        #[error(\"the switch is broken\")] struct A;";
    let expected = [Section::Logs, Section::Errors, Section::Errors, Section::Events, Section::Events, Section::Errors];
    assert_eq!(sections("lamp", text), expected);
    let text = "fn a() { steps.run(\"light the lamp\", |step| bail!(\"no lamp\")); println!(\"it is lit\"); }";
    assert_eq!(sections("xtask", text), [Section::Steps, Section::CommandErrors, Section::Output]);
}

#[test]
fn event_with_a_variable_note_has_its_reason() {
    let text = "fn a(&self) { let note = format!(\"{} was lit again\", x); self.note(\"Lit\", \"Light\", note); }";
    assert_eq!(found("lamp", text), [(Section::Events, Some("Lit".to_owned()), "{} was lit again".to_owned())]);
}

#[test]
fn texts_that_are_only_compared_with_are_left_out() {
    let text = "fn a() { x.contains(\"is not found\"); if y == \"is all dark\" { match z { \"no lamp\" => 1 } } }";
    assert!(found("lamp", text).is_empty());
}

#[test]
fn tests_and_rules_of_the_api_server_are_left_out() {
    let text = "#[cfg(test)] mod tests { fn a() { b(\"some prose here\"); } } #[test] fn c() { b(\"more of it\"); }
        struct A { #[x_kube(validation = (\"self.a > 1 and more\", \"must be more than one\"))] a: u8 }";
    assert_eq!(found("lamp", text), [(Section::Refusals, None, "must be more than one".to_owned())]);
}

#[test]
fn patterns_of_a_search_are_left_out() {
    let text = "const DARK: &str = \"is all dark\"; const SHOWN: &str = \"no lamp\"; const FORMERLY_LIT: &str = \"was lit once\";
        fn a() { let waits = \"waits for light\"; x.strip_prefix(waits); x.contains(DARK);
            let has = |part: &str| x.contains(part); if has(\"is broken\") { b(FORMERLY_LIT); c(SHOWN); } }";
    assert_eq!(found("lamp", text), [(Section::Conditions, None, "no lamp".to_owned())]);
}

#[test]
fn documentation_within_macros_is_left_out() {
    let text = "macro_rules! lamps { ($a:ident) => { /// A lamp.
        struct A { /** Its very own light. */ a: u8 } fn a() { b(\"the lamp is lit\") } }; }";
    assert_eq!(found("lamp", text), [(Section::Conditions, None, "the lamp is lit".to_owned())]);
}

#[test]
fn content_of_objects_and_certificates_is_left_out() {
    let text = "fn a() { b(format!(\"written by the lamp at {now}\").into_bytes()); distinguish(\"The Lamp\"); }";
    assert!(found("lamp", text).is_empty());
}

#[test]
fn help_of_metrics_and_programs_has_its_own_headings() {
    let text = "const ABOUT: &str = \"Lights everything\"; fn a() { let help = \"Lamps that are lit\"; r.register_with_unit(\"lamps\", help, 1); gauge((\"a\", \"Lamps in all\"));
        let about = \"Lights the lamps\"; process::command(x, about); process::main(x, \"Lights a lamp\", y); main(\"is a message\"); }";
    let expected =
        [Section::Help, Section::Metrics, Section::Metrics, Section::Help, Section::Help, Section::Conditions];
    assert_eq!(sections("lamp", text), expected);
}
