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

# Whether something is at a path. An error is no absence: a volume that answers with EIO or ESTALE has data, for all that is known.
is_there() {
  answer=$(LC_ALL=C stat -L -c x -- "$1" 2>&1) && return 0
  case $answer in
  *": No such file or directory" | *": Not a directory") return 1 ;;
  esac
  say "$1 cannot be read: $answer; check the volume and its machine"
  exit 1
}

has_entries() {
  is_there "$1" || return 1
  entries=$(LC_ALL=C ls -A -- "$1" 2>&1) || {
    say "$1 cannot be read: $entries; check the volume and its machine"
    exit 1
  }
  [ -n "$entries" ]
}

mkdir -p "$IPFS_PATH"
# Files of a Secret are links, whose text Kubo would read.
cp -L "$given/peers/$POD_NAME.kubo.json" "$IPFS_PATH/config.new"
# Kubo ends when it cannot listen on one of its addresses.
if ! grep -q . /proc/net/if_inet6 2> /dev/null; then
  sed -i 's|,"/ip6/::/tcp/[0-9]*"||g' "$IPFS_PATH/config.new"
fi
if is_there "$IPFS_PATH/datastore_spec" && [ -s "$IPFS_PATH/datastore_spec" ]; then
  mv -f "$IPFS_PATH/config.new" "$IPFS_PATH/config"
elif has_entries "$IPFS_PATH/blocks" || has_entries "$IPFS_PATH/datastore"; then
  say "the repository is damaged: it has data and no $IPFS_PATH/datastore_spec, which says how they are kept; restore the file or a" \
    "backup, or delete PersistentVolumeClaim/data-$POD_NAME and this pod to start empty"
  exit 1
else
  say "making a repository"
  # What a start that was cut short has left would be in the way; without these there was never a block here.
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
