# A Kubo that is no peer: it tries to connect with one, first without the swarm key, then with it.
set -eu
export HOME=/tmp IPFS_PATH=/tmp/ipfs LIBP2P_TCP_MUX=false
ipfs init --empty-repo --profile=autoconf-off > /tmp/init
ipfs config Routing.Type none
ipfs config --json Swarm.Transports.Network '{"QUIC": false, "WebTransport": false, "WebRTCDirect": false, "Websocket": false}'
ipfs config --json AutoTLS.Enabled false
ipfs config --json Addresses.Swarm '["/ip4/0.0.0.0/tcp/4001"]'

connect() {
  ipfs daemon > /tmp/daemon 2>&1 &
  until ipfs --api=/ip4/127.0.0.1/tcp/5001 id > /dev/null 2>&1; do
    kill -0 $! || { cat /tmp/daemon; exit 1; }
    sleep 0.2
  done
  if ipfs --api=/ip4/127.0.0.1/tcp/5001 swarm connect "$ADDRESS" > /tmp/connect 2>&1; then
    echo "$1: connected"
  else
    echo "$1: refused"
  fi
  cat /tmp/connect
  kill $!
  wait $! || true
}

connect without
printf '/key/swarm/psk/1.0.0/\n/base16/\n%s\n' "$SWARM_KEY" > "$IPFS_PATH/swarm.key"
connect with
