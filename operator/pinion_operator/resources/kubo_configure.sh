#!/bin/sh
# Makes the repository on the first start, and sets at every start what a managed Kubo must be: private, and closed to strangers.
# Environment: IPFS_PATH, SECRETS (a folder with swarm.key, operator-token, client-token), RPC_ADDRESS, GATEWAY_ADDRESS (one or
# more each, with spaces between), STORAGE_MAX (bytes for blocks), IF_INET6 (where the kernel lists its IPv6 addresses).
set -eu
umask 077

if [ ! -f "$IPFS_PATH/config" ]; then
  # Beside it first: a start that was cut off must not leave half a repository behind.
  new="$IPFS_PATH.new"
  rm -rf "$new"
  IPFS_PATH="$new" ipfs init --empty-repo --profile=unixfs-v1-2025
  # Every pin here stands for a model that somebody wants; init pins an empty directory.
  for cid in $(IPFS_PATH="$new" ipfs pin ls --type=recursive --quiet); do IPFS_PATH="$new" ipfs pin rm "$cid"; done
  mv "$new" "$IPFS_PATH"
fi
rm -f "$IPFS_PATH/api" "$IPFS_PATH/gateway" # of a daemon that was killed

operator="$(cat "$SECRETS/operator-token")"
client="$(cat "$SECRETS/client-token")"
cp "$SECRETS/swarm.key" "$IPFS_PATH/swarm.key.new"
mv "$IPFS_PATH/swarm.key.new" "$IPFS_PATH/swarm.key"

config() { ipfs config --json "$1" "$2"; }

# The daemon ends when it cannot listen on one of its addresses: those of IPv6 are left out where the node has none.
addresses() {
  list=""
  for address in $1; do
    case "$address" in /ip6/*) [ -n "$(cat "${IF_INET6:-/proc/net/if_inet6}" 2>/dev/null)" ] || continue ;; esac
    list="$list${list:+,}\"$address\""
  done
  echo "[$list]"
}
rpc="$(addresses "$RPC_ADDRESS")"
gateway="$(addresses "$GATEWAY_ADDRESS")"

# Nothing listens for the swarm: one node has nobody to talk to. The key and LIBP2P_FORCE_PNET hold if that ever changes.
config Addresses '{"API":'"$rpc"',"Gateway":'"$gateway"',"Swarm":[],"Announce":[],"AppendAnnounce":[],"NoAnnounce":[]}'
config Bootstrap '[]'
config Routing '{"Type":"none","DelegatedRouters":[]}'
config Discovery.MDNS.Enabled false
config DNS '{"Resolvers":{}}'
config Ipns.DelegatedPublishers '[]'
config AutoConf.Enabled false # with a swarm key the daemon refuses to start otherwise
config AutoTLS.Enabled false
config AutoNAT.ServiceMode '"disabled"'
config Provide.Enabled false
config HTTPRetrieval.Enabled false
config Swarm '{"DisableNatPortMap":true,"EnableHolePunching":false,"RelayClient":{"Enabled":false},"RelayService":{"Enabled":false}}'

config Gateway.NoFetch true
config Gateway.ExposeRoutingAPI false
config Datastore.HashOnRead true # else a block that the disk changed is served as if it were right
# A block that is put again replaces what the disk has: without both, one that was changed there stays wrong for ever.
config Datastore.WriteThrough true
config Datastore.BlockKeyCacheSize 0
config Datastore.StorageMax '"'"$STORAGE_MAX"'B"'

# A path here is a prefix. block/rm, pin/rm, repo/gc, config and the rest are the operator's.
paths='"/api/v0/dag/import","/api/v0/dag/stat","/api/v0/pin/add","/api/v0/pin/ls","/api/v0/block/get","/api/v0/block/put","/api/v0/block/stat","/api/v0/version"'
config API.Authorizations '{"operator":{"AuthSecret":"bearer:'"$operator"'","AllowedPaths":["/api/v0"]},"client":{"AuthSecret":"bearer:'"$client"'","AllowedPaths":['"$paths"']}}'
