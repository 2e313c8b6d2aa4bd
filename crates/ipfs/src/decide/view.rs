//! The validated view of an object: all decisions start from it.

use kube::ResourceExt;
use temporal_stack_common::{
    api::{IpfsCluster, KuboProvider, Network, ServiceType, annotation::FULL_RESTART},
    component::Stalled,
    condition::Statement,
    message::as_written,
    provider::{External, Provider},
};

use super::rotation::{self, Request, Secrets};
use crate::{
    access::{self, Access},
    kubo_config::UserConfig,
    names::{Names, config_map},
    observed::{Embedded, Observed, Peer, Pinset, Report},
    settings::{Remarks, Settings},
    survey::Survey,
};

/// An object with its settings, and its existing children.
pub(crate) struct View<'a> {
    pub(crate) object: &'a IpfsCluster,
    pub(crate) names: Names,
    pub(crate) is_bound: bool,
    /// Whether the user's configuration is used as written.
    pub(crate) honoured: Statement,
    /// The peers, or how an application uses a cluster elsewhere.
    pub(crate) provider: Provider<EmbeddedView<'a>, Result<Access, Stalled>>,
}

/// Peers that the controller runs.
pub(crate) struct EmbeddedView<'a> {
    pub(crate) object: &'a IpfsCluster,
    pub(crate) names: Names,
    /// The number of peers in the spec.
    pub(crate) wanted: i32,
    pub(crate) provider: KuboProvider,
    /// The ConfigMap that the object reads.
    pub(crate) config_map: &'a str,
    pub(crate) settings: Settings,
    pub(crate) kubo_config: UserConfig,
    pub(crate) secrets: Secrets,
    pub(crate) observed: &'a Embedded,
}

impl<'a> View<'a> {
    /// The view of this object.
    pub(crate) fn new(object: &'a IpfsCluster, observed: &'a Observed) -> Self {
        let (names, source) = (Names::new(object), format!("ConfigMap/{}", config_map(object)));
        let (provider, honoured) = match &observed.provider {
            Provider::External(External { name, secret }) => {
                let unused = observed.config.is_some().then_some(source);
                let (access, honoured) = access::read(name, secret.as_ref()).into_result(name, unused.as_slice());
                (Provider::External(access), honoured)
            }
            Provider::Embedded(embedded) => {
                let (settings, mut remarks) = Settings::read(object, &source, observed.config.as_ref());
                let remedy = "to use another ConfigMap, name it in spec.config.configMap";
                remarks.adapted.extend(observed.default_source.remark(&source, remedy));
                let embedded = EmbeddedView::new(object, &names, settings, embedded);
                embedded.remark(&mut remarks);
                let honoured = honoured(&remarks, &source, observed.config.is_some());
                (Provider::Embedded(Box::new(embedded)), honoured)
            }
        };
        Self { object, names, is_bound: observed.is_bound, honoured, provider }
    }
}

impl<'a> EmbeddedView<'a> {
    fn new(object: &'a IpfsCluster, names: &Names, settings: Settings, observed: &'a Embedded) -> Self {
        let provider = object.spec.provider.kubo.clone().unwrap_or_default();
        let request = Request {
            secret: settings.secret.as_deref(),
            network: object.spec.network,
            permission: object.annotations().get(FULL_RESTART).map(String::as_str),
        };
        let secrets = rotation::rotation(&observed.objects, names, &request);
        Self {
            object,
            names: names.clone(),
            wanted: object.spec.replicas,
            config_map: config_map(object),
            kubo_config: UserConfig::read(&provider, secrets.network),
            provider,
            settings,
            secrets,
            observed,
        }
    }

    /// Adds what is not used as written because of the peers.
    fn remark(&self, remarks: &mut Remarks) {
        remarks.refused.extend(self.secrets.refused.iter().chain(&self.kubo_config.refused).cloned());
        remarks.adapted.extend(self.kubo_config.ignored.iter().cloned());
        remarks.adapted.extend(self.remark_on_addresses());
    }

    /// The remark about swarm Services whose addresses nodes of the public network do not learn.
    fn remark_on_addresses(&self) -> Option<String> {
        let type_ = self.provider.swarm.as_ref()?.type_;
        let is_outside = type_ != ServiceType::ClusterIP && self.secrets.network == Network::Public;
        let addresses = self.provider.kubo_config.get("Addresses");
        let lists = |field: &str| addresses.and_then(|all| all[field].as_array()).is_some_and(|list| !list.is_empty());
        (is_outside && !lists("Announce") && !lists("AppendAnnounce")).then(|| {
            format!(
                "spec.provider.kubo.swarm: peers announce the addresses of their pods, not those of the {} Services, so nodes outside of the cluster may be unable to connect; list the Services' addresses in spec.provider.kubo.kuboConfig.Addresses.AppendAnnounce",
                type_.as_str()
            )
        })
    }

    /// The peers that answered, with what they reported.
    pub(crate) fn reports(&self) -> impl Iterator<Item = (&Peer, &Report)> {
        self.observed.peers.iter().filter_map(|peer| Some((peer, peer.report.as_ref().ok()?)))
    }

    /// Whether the peer with this ordinal answered.
    pub(crate) fn has_reported(&self, ordinal: i32) -> bool {
        self.reports().any(|(peer, _)| peer.ordinal == ordinal)
    }

    /// The ordinals of the peers that the cluster consists of now.
    pub(crate) fn members(&self) -> impl Iterator<Item = i32> {
        self.observed.objects.members(self.wanted)
    }

    /// The survey of this pass, or the reason why there is none to decide by.
    pub(crate) fn current_survey(&self) -> Result<&Survey, String> {
        match &self.observed.pinset {
            Pinset::Current(survey) => Ok(survey),
            Pinset::Earlier(_) => Err("the latest survey of the pins is out of date".to_owned()),
            Pinset::Silent(ordinal) => Err(format!("{} does not answer", self.names.pod(*ordinal))),
            Pinset::Failed(cause) => Err(cause.clone()),
        }
    }

    /// How many copies are queued, and how many are being created.
    pub(crate) fn copies_under_way(&self) -> (u64, u64) {
        let copies = self.reports().map(|(_, report)| &report.copies);
        copies.fold((0, 0), |(queued, pinning), copies| (queued + copies.queued, pinning + copies.pinning))
    }
}

fn honoured(remarks: &Remarks, source: &str, exists: bool) -> Statement {
    remarks.statement(if exists {
        as_written(source)
    } else {
        format!("{source} does not exist; the spec and the defaults apply")
    })
}
