use serde_json::json;

use super::*;

fn event(reason: &str, time: &str) -> Event {
    let event = json!({
        "metadata": {}, "involvedObject": {}, "reason": reason, "message": reason, "lastTimestamp": time,
    });
    serde_json::from_value(event).unwrap()
}

#[test]
fn refusal_counts_until_something_is_created() {
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    let newest =
        |events: &[(&str, &str)]| newest_refusal(events.iter().map(|(reason, time)| event(reason, time)).collect());
    assert!(newest(&[("FailedCreate", late), ("SuccessfulCreate", early)]).is_some());
    assert!(newest(&[("FailedCreate", early), ("SuccessfulCreate", early)]).is_some());
    assert_eq!(newest(&[("FailedCreate", early), ("SuccessfulCreate", late)]), None);
    assert_eq!(newest(&[("Other", late)]), None);
}

#[test]
fn events_of_a_claim_are_told_apart() {
    let warning = |message: &str, time: &str| Event {
        type_: Some("Warning".to_owned()),
        message: Some(message.to_owned()),
        ..event("ProvisioningFailed", time)
    };
    let late = "2026-01-01T00:00:01Z";
    let events = ClaimEvents::new(vec![
        warning("old", "2026-01-01T00:00:00Z"),
        warning("new", late),
        event("ExternalProvisioning", "2026-01-01T00:00:09Z"),
        event("FailedBinding", late),
        event("Provisioning", late),
    ]);
    let expected = ClaimEvents {
        warning: Some("new".to_owned()),
        unmatched: Some("FailedBinding".to_owned()),
        is_provisioning: true,
    };
    assert_eq!(events, expected);
    let long = ClaimEvents::new(vec![warning(&"x".repeat(100_000), late)]);
    assert!(long.warning.unwrap().len() < 500);
}
