# Prepares Kubo before each start: its repository where there is none, and its configuration as the controller has it now.
set -eu
umask 077
given=/run/temporal-stack

# The kubelet updates the files of a Secret within a minute or so.
until [ -s "$given/peers/$POD_NAME.kubo.json" ]; do
  say "waiting until Secret/$PEERS_SECRET has the configuration of $POD_NAME"
  sleep 1
done

mkdir -p "$IPFS_PATH"
# Files of a Secret are links, whose text Kubo would read.
cp -L "$given/peers/$POD_NAME.kubo.json" "$IPFS_PATH/config.new"
# Kubo ends when it cannot listen on one of its addresses.
if ! grep -q . /proc/net/if_inet6 2> /dev/null; then
  sed -i 's|,"/ip6/::/tcp/[0-9]*"||g' "$IPFS_PATH/config.new"
fi
if exists "$IPFS_PATH/datastore_spec" && [ -s "$IPFS_PATH/datastore_spec" ]; then
  mv -f "$IPFS_PATH/config.new" "$IPFS_PATH/config"
elif has_entries "$IPFS_PATH/blocks" || has_entries "$IPFS_PATH/datastore"; then
  say "the repository is damaged: it has data but no $IPFS_PATH/datastore_spec, which describes their layout; restore the file or a" \
    "backup, or delete PersistentVolumeClaim/data-$POD_NAME and this pod to start empty"
  exit 1
else
  say "creating a repository"
  # Remains of an interrupted start would be in the way; without these there was never a block here.
  rm -f "$IPFS_PATH/config" "$IPFS_PATH/datastore_spec"
  ipfs init --empty-repo "$IPFS_PATH/config.new"
  rm -f "$IPFS_PATH/config.new"
fi

if [ "${LIBP2P_FORCE_PNET:-}" = 1 ]; then
  key=$(cat $given/secret/swarm-key)
  printf '/key/swarm/psk/1.0.0/\n/base16/\n%s\n' "$key" > "$IPFS_PATH/swarm.key.new"
  mv -f "$IPFS_PATH/swarm.key.new" "$IPFS_PATH/swarm.key"
else
  rm -f "$IPFS_PATH/swarm.key"
fi

# Left when Kubo was killed; clients that use it would find nothing listening.
rm -f "$IPFS_PATH/api"
say "Kubo can start"
