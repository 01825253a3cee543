"""Ports, paths and labels that both sides rely on."""

INFERENCE_PORT = 8080
MANAGEMENT_PORT = 8081
CONTENT_PORT = 8082

CONFIG_PATH = "/etc/pinion/config/config.json"
LIVE_PATH = "/etc/pinion/live/live.json"
BACKENDS_PATH = "/etc/pinion/backends"  # <backend>/token: the bearer token of its API; <backend>/hosts: to whom it may be sent
PEERS_PATH = "/etc/pinion/peers"  # token: the bearer token of the deployment's content ports
API_KEYS_PATH = "/etc/pinion/api-keys"  # one file per client
HUB_TOKEN_PATH = "/etc/pinion/hub"  # token: of a gated or private repository; hosts: to whom it may be sent
AUTHORITIES_PATH = "/etc/pinion/authorities/ca.crt"  # certificates of who is trusted beside the system's own; may change
SHARED_PATH = "/var/lib/pinion-shared"  # <backend>: the volume of a HuggingFaceCache backend
STATE_PATH = "/var/lib/pinion"  # the store ($HF_HOME is STATE_PATH/hf) and staging, an emptyDir
