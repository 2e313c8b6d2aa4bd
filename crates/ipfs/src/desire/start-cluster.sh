# Starts IPFS Cluster once the Kubo beside it answers. Without Kubo, IPFS Cluster needs seconds for each change of the pinset
# that it has missed; stopped meanwhile, it never reads the rest (github.com/ipfs/go-ds-crdt/issues/279).
set -eu
. /run/temporal-stack/own/cluster.env

# The shell is process 1, which ignores signals that it does not handle.
trap 'exit 0' TERM INT

# The official image has wget, the image of this stack has bash.
answers() {
  wget -q -O /dev/null --post-data= http://localhost:5001/api/v0/id || bash -c ': > /dev/tcp/localhost/5001'
}

if command -v wget > /dev/null || command -v bash > /dev/null; then
  until answers 2> /dev/null; do
    sleep 1
  done
fi
exec ipfs-cluster-service daemon
