//! Every field of the original's configuration, by its path in the Go source: what it is called elsewhere is derived.

use super::names;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Text, numbers of ports among it.
    Text,
    /// A number: anything else stops the program.
    Integer,
    /// Texts, in the environment with commas between.
    List,
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    /// Where it is in the Go source.
    pub(super) path: &'static str,
    /// What it holds.
    pub(super) kind: Type,
}

impl Field {
    /// Its names in the environment, in the order in which they are looked for.
    pub(super) fn names(&self) -> Vec<String> {
        names::variables(self.path)
    }

    /// Its keys in the file.
    pub(super) fn json(&self) -> Vec<String> {
        names::json(self.path)
    }
}

const fn text(path: &'static str) -> Field {
    Field { path, kind: Type::Text }
}

const fn integer(path: &'static str) -> Field {
    Field { path, kind: Type::Integer }
}

const fn list(path: &'static str) -> Field {
    Field { path, kind: Type::List }
}

/// All of them.
pub(super) const FIELDS: &[Field] = &[
    text("V3.API.VerifyDomain"),
    text("V3.API.Address"),
    text("V3.API.JWT.Key"),
    text("V3.API.JWT.Realm"),
    integer("V3.API.JWT.Timeout"),
    text("V3.API.TLS.CertPath"),
    text("V3.API.TLS.KeyPath"),
    text("V3.Gateway.Address"),
    text("V3.Gateway.TargetAddress"),
    text("V3.Gateway.TLS.CertPath"),
    text("V3.Gateway.TLS.KeyPath"),
    text("API.Connection.Certificates.CertPath"),
    text("API.Connection.Certificates.KeyPath"),
    text("API.Connection.ListenAddress"),
    text("API.Connection.Prometheus.IP"),
    text("API.Connection.Prometheus.Port"),
    list("API.Connection.CORS.AllowedOrigins"),
    text("API.Connection.Limit"),
    text("API.JWT.Key"),
    text("API.JWT.Realm"),
    text("API.SizeLimitInGigaBytes"),
    text("APIKeys.ChainRider"),
    text("APIKeys.CoinMarketCap"),
    text("APIKeys.ReCAPTCHA"),
    text("AWS.KeyID"),
    text("AWS.Secret"),
    text("Database.Name"),
    text("Database.URL"),
    text("Database.Port"),
    text("Database.Username"),
    text("Database.Password"),
    text("Services.MoneroRPC"),
    text("Services.Lens.URL"),
    text("Services.Lens.TLS.CertPath"),
    text("Services.Lens.TLS.KeyFile"),
    text("Services.Lens.AuthKey"),
    text("Services.Lens.Options.Engine.StorePath"),
    integer("Services.Lens.Options.Engine.Queue.Rate"),
    integer("Services.Lens.Options.Engine.Queue.Batch"),
    text("Services.Nexus.Host"),
    text("Services.Nexus.Port"),
    text("Services.Nexus.Key"),
    text("Services.Nexus.TLS.CertPath"),
    text("Services.Nexus.TLS.KeyPath"),
    text("Services.Nexus.Delegator.Port"),
    text("Services.MongoDB.URL"),
    text("Services.MongoDB.DB"),
    text("Services.MongoDB.UploadCollection"),
    text("Services.Raven.URL"),
    text("Services.Raven.User"),
    text("Services.Raven.Pass"),
    text("Services.BchGRPC.URL"),
    text("Services.BchGRPC.CertFile"),
    text("Services.BchGRPC.KeyFile"),
    text("Services.BchGRPC.Wallet.URL"),
    text("Services.BchGRPC.Wallet.CertFile"),
    text("Services.BchGRPC.Wallet.KeyFile"),
    text("Services.Krab.URL"),
    text("Services.Krab.TLS.CertPath"),
    text("Services.Krab.TLS.KeyFile"),
    text("Services.Krab.AuthKey"),
    text("Services.Krab.LogFile"),
    text("Services.Krab.KeystorePassword"),
    text("Services.KrabFallback.URL"),
    text("Services.KrabFallback.TLS.CertPath"),
    text("Services.KrabFallback.TLS.KeyFile"),
    text("Services.KrabFallback.AuthKey"),
    text("Services.KrabFallback.LogFile"),
    text("Services.KrabFallback.KeystorePassword"),
    list("Services.RTNS.MultiAddresses"),
    text("Services.RTNS.KeyName"),
    text("Services.RTNS.DatastorePath"),
    text("Ethereum.Account.Address"),
    text("Ethereum.Account.KeyFile"),
    text("Ethereum.Account.KeyPass"),
    text("Ethereum.Connection.RPC.IP"),
    text("Ethereum.Connection.RPC.Port"),
    text("Ethereum.Connection.IPC.Path"),
    text("Ethereum.Connection.INFURA.URL"),
    text("Ethereum.Contracts.RTCAddress"),
    text("Ethereum.Contracts.PaymentContractAddress"),
    text("Ethereum.Swarm.URL1"),
    text("Ethereum.Swarm.URL2"),
    text("IPFSCluster.APIConnection.Host"),
    text("IPFSCluster.APIConnection.Port"),
    text("IPFS.APIConnection.Host"),
    text("IPFS.APIConnection.Port"),
    text("IPFS.KeystorePath"),
    text("Pay.Address"),
    text("Pay.Port"),
    text("Pay.Protocol"),
    text("Pay.TLS.CertPath"),
    text("Pay.TLS.KeyPath"),
    text("Pay.AuthKey"),
    text("RabbitMQ.URL"),
    text("RabbitMQ.TLSConfig.CertFile"),
    text("RabbitMQ.TLSConfig.KeyFile"),
    text("RabbitMQ.TLSConfig.CACertFile"),
    text("Sendgrid.APIKey"),
    text("Sendgrid.EmailAddress"),
    text("Sendgrid.EmailName"),
    text("Stripe.PublishableKey"),
    text("Stripe.SecretKey"),
    text("Wallets.ETH"),
    text("Wallets.RTC"),
    text("Wallets.XMR"),
    text("Wallets.DASH"),
    text("Wallets.BTC"),
    text("Wallets.LTC"),
    text("LogDir"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the facts, word for word.
    const FACTS: &str = include_str!("../../fixtures/environment.md");

    #[test]
    fn fields_and_their_names_are_those_of_the_facts() {
        let mut rows = FACTS.lines().filter(|line| line.starts_with("| `"));
        for field in FIELDS {
            let kind = match field.kind {
                Type::Text => "string",
                Type::Integer => "int",
                Type::List => "[]string",
            };
            let names = field.names().into_iter().filter(|name| !name.contains(char::is_lowercase));
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            let row = format!("| `{}` | {kind} | {} |", field.path, names.join(" / "));
            assert_eq!(Some(row.as_str()), rows.next());
        }
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn no_two_fields_share_a_name() {
        let mut names: Vec<_> = FIELDS.iter().flat_map(Field::names).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
