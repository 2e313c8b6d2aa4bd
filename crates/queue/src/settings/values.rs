//! Values with which a broker does not start: of common settings, those that are a number or a switch
//! (`rabbit.schema` of RabbitMQ 4.0).

/// Whole numbers.
const NUMBERS: &str = "
    background_gc_target_interval channel_max classic_queue.default_version collect_statistics_interval
    consumer_timeout credential_validator.min_length default_worker_pool_size delegate_count heartbeat
    link_max_per_session max_message_size memory_monitor_interval message_store_shutdown_timeout
    metadata_store.khepri.default_timeout mnesia_table_loading_retry_limit mnesia_table_loading_retry_timeout
    net_ticktime num_acceptors.ssl num_acceptors.tcp session_max_per_connection ssl_handshake_timeout
    tcp_listen_options.backlog tcp_listen_options.buffer tcp_listen_options.linger.timeout
    tcp_listen_options.recbuf tcp_listen_options.send_timeout tcp_listen_options.sndbuf tcp_listen_options.tos
";
/// Whole numbers, or `infinity`.
const LIMITS: &str = "
    channel_max_per_node cluster_queue_limit connection_max consumer_max_per_channel handshake_timeout
    ranch_connection_max vhost_max
";
/// Numbers that may have a fraction.
const SHARES: &str = "
    disk_free_limit.relative vm_memory_high_watermark.relative vm_memory_high_watermark_paging_ratio
";
/// `true` or `false`.
const SWITCHES: &str = "
    background_gc_enabled quorum_queue.compute_checksums
    quorum_queue.property_equivalence.relaxed_checks_on_redeclaration reverse_dns_lookups
    tcp_listen_options.delay_send tcp_listen_options.exit_on_close tcp_listen_options.keepalive
    tcp_listen_options.linger.on tcp_listen_options.nodelay tcp_listen_options.send_timeout_close
";

/// The error in the value of a setting, with a valid form.
pub(super) fn wrong(key: &str, value: &str) -> Option<&'static str> {
    let is_number = value.parse::<i64>().is_ok();
    let is_in = |keys: &str| keys.split_whitespace().any(|listed| listed == key);
    if key == "consumer_timeout" {
        let is_right = value.parse::<u64>().is_ok_and(|milliseconds| milliseconds > 0);
        return (!is_right).then_some(
            "must be a number of milliseconds above 0, and cannot be disabled; write for instance `consumer_timeout = 31622400000`, a year",
        );
    }
    if is_in(NUMBERS) {
        return (!is_number).then_some("must be a whole number");
    }
    if is_in(LIMITS) {
        return (!is_number && value != "infinity").then_some("must be a whole number or infinity");
    }
    if is_in(SHARES) {
        return value.parse::<f64>().is_err().then_some("must be a number such as 0.4");
    }
    if is_in(SWITCHES) {
        return (!["true", "false"].contains(&value)).then_some("must be true or false");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disabled_consumer_timeout_is_refused_with_a_value_that_works() {
        for value in ["undefined", "false", "infinity", "0", "-1"] {
            assert!(wrong("consumer_timeout", value).unwrap().contains("consumer_timeout = 31622400000"), "{value}");
        }
        assert_eq!(wrong("consumer_timeout", "31622400000"), None);
    }

    #[test]
    fn malformed_value_is_refused() {
        for (key, value) in [
            ("heartbeat", "60s"),
            ("channel_max", "infinity"),
            ("connection_max", "unlimited"),
            ("vm_memory_high_watermark.relative", "40%"),
            ("reverse_dns_lookups", "yes"),
        ] {
            assert!(wrong(key, value).is_some(), "{key} = {value}");
        }
        for (key, value) in [("heartbeat", "60"), ("connection_max", "infinity"), ("disk_free_limit.relative", "1")] {
            assert_eq!(wrong(key, value), None, "{key} = {value}");
        }
        assert_eq!(wrong("unknown", "anything"), None);
    }
}
