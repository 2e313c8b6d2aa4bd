# Prepares IPFS Cluster before each start: who it is, who the others are, and a fresh configuration, so that a setting
# that was removed does not stay in the file.
set -eu
umask 077
given=/run/temporal-stack

until [ -s "$given/peers/$POD_NAME.cluster.env" ]; do
  say "waiting until Secret/$PEERS_SECRET has the configuration of $POD_NAME"
  sleep 1
done

# An empty one would leave the cluster open to everyone.
secret=$(cat $given/secret/cluster-secret)
case $secret in
*[!0-9a-fA-F]*) valid= ;;
*) [ ${#secret} = 64 ] && valid=yes || valid= ;;
esac
if [ -z "$valid" ]; then
  say "key cluster-secret of the shared Secret invalid: it does not have 64 hexadecimal digits; restore it"
  exit 1
fi

# For the main container, which sees no other peer's keys.
{
  cat "$given/peers/$POD_NAME.cluster.env"
  echo "export CLUSTER_SECRET='$secret'"
  # IPFS Cluster ends when it cannot listen on one of its addresses.
  if ! grep -q . /proc/net/if_inet6 2> /dev/null; then
    env | sed -n 's|^\(CLUSTER_[A-Z_]*LISTENMULTIADDRESS\)=\(.*\),/ip6/::/tcp/[0-9]*$|export \1=\2|p'
  # Its Kubo is on the loopback, whichever there is.
  elif [ -r /proc/net/fib_trie ] && ! grep -q -F 127.0.0.1 /proc/net/fib_trie; then
    env | sed -n 's|^\(CLUSTER_[A-Z_]*\)=/ip4/127.0.0.1/tcp/\([0-9]*\)$|export \1=/ip6/::1/tcp/\2|p'
  fi
} > $given/own/cluster.env
. $given/own/cluster.env

mkdir -p "$IPFS_CLUSTER_PATH"
# Addresses from an earlier run may be of peers that have left.
rm -f "$IPFS_CLUSTER_PATH/service.json" "$IPFS_CLUSTER_PATH/identity.json" "$IPFS_CLUSTER_PATH/peerstore"
ipfs-cluster-service init --consensus crdt
say "IPFS Cluster can start"
