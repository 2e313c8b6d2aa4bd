//! What a field is called outside of the Go source.

use std::collections::BTreeSet;

/// The names of a field in the environment, in the order in which they are looked for: without an underscore more than the
/// path has dots and with one before every word, in capitals and in small letters. Nothing between is recognised.
pub(super) fn variables(path: &str) -> Vec<String> {
    let plain = path.replace('.', "_");
    let words = words(path);
    let names = [plain.to_uppercase(), plain.to_lowercase(), words.to_uppercase(), words.to_lowercase()];
    names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The keys of a field in the file: the words in small letters, but for a few that the original spells otherwise.
pub(super) fn json(path: &str) -> Vec<String> {
    let mut keys: Vec<String> = path.split('.').map(|segment| words(segment).to_lowercase()).collect();
    let otherwise = match path {
        "Services.RTNS.KeyName" => Some("pk_name"),
        "Services.MongoDB.UploadCollection" => Some("uploads"),
        "Pay.TLS.CertPath" | "Services.Nexus.TLS.CertPath" => Some("cert"),
        "Pay.TLS.KeyPath" | "Services.Nexus.TLS.KeyPath" => Some("key"),
        _ => None,
    };
    if let (Some(last), Some(otherwise)) = (keys.last_mut(), otherwise) {
        otherwise.clone_into(last);
    }
    for key in &mut keys {
        match key.as_str() {
            "rabbit_mq" => "rabbitmq".clone_into(key),
            "mongo_db" => "mongodb".clone_into(key),
            _ => {}
        }
    }
    keys
}

/// An underscore for each dot, and one before each capital that follows or precedes a small letter.
fn words(path: &str) -> String {
    let letters: Vec<char> = path.chars().collect();
    let is_small = |index: usize| letters.get(index).is_some_and(|letter| letter.is_lowercase());
    let mut words = String::new();
    for (index, letter) in letters.iter().copied().enumerate() {
        // The first two letters and the last are never looked at in this way, which no field shows.
        let is_inside = index > 1 && index + 1 < letters.len();
        let begins = letter.is_uppercase() && is_inside && (is_small(index - 1) || is_small(index + 1));
        if begins && !words.ends_with('_') {
            words.push('_');
        }
        words.push(if letter == '.' { '_' } else { letter });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_the_letters() {
        let expected = ["RABBITMQ_URL", "RABBIT_MQ_URL", "rabbit_mq_url", "rabbitmq_url"];
        assert_eq!(variables("RabbitMQ.URL"), expected);
        assert_eq!(variables("Database.URL"), ["DATABASE_URL", "database_url"]);
    }

    #[test]
    fn capitals_that_belong_together_stay_together() {
        assert_eq!(words("RabbitMQ.TLSConfig.CACertFile"), "Rabbit_MQ_TLS_Config_CA_Cert_File");
        assert_eq!(words("APIKeys.ReCAPTCHA"), "API_Keys_Re_CAPTCHA");
    }
}
