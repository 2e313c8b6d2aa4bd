# Prepares Kubo before each start: its repository where there is none, and its configuration as the controller has it now.
set -eu
umask 077
given=/run/temporal-stack

say() { echo "$(date -u +%FT%TZ) $*"; }

# The kubelet brings what is new in a Secret within a minute or so.
until [ -s "$given/peers/$POD_NAME.kubo.json" ]; do
  say "waiting until Secret/$PEERS_SECRET knows $POD_NAME"
  sleep 1
done

mkdir -p "$IPFS_PATH"
# Files of a Secret are links, whose text Kubo would read.
cp -L "$given/peers/$POD_NAME.kubo.json" "$IPFS_PATH/config.new"
if [ -s "$IPFS_PATH/config" ] && [ -s "$IPFS_PATH/datastore_spec" ]; then
  mv -f "$IPFS_PATH/config.new" "$IPFS_PATH/config"
else
  say "making a repository"
  # What a start that was cut short has left would be in the way; without both files there was never a block here.
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

# Left when Kubo was killed; whoever asks by it is told that nobody listens.
rm -f "$IPFS_PATH/api"
say "Kubo can start"
